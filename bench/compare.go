package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
)

// compared is how many cases of each query are compared.
const compared = 200

// compare checks that both servers answer the query alike.
func compare(ctx context.Context, q query, all *cases, plain, roster *process) error {
	if q.statement == "" {
		return q.teach(ctx, all, plain, roster)
	}
	of := q.cases(all)
	for i := 0; i < len(of); i += max(1, len(of)/compared) {
		ours, err := roster.send(ctx, http.MethodPost, "/graphql", operation(q.document, of[i].document))
		if err != nil {
			return err
		}
		theirs, err := plain.send(ctx, http.MethodGet, q.path(of[i]), nil)
		if err != nil {
			return err
		}
		if !sameData(ours, theirs) {
			return fmt.Errorf("%s: the answers for %v differ:\nRoster %.2000s\nplain  %.2000s", q.name, of[i].document, ours, theirs)
		}
	}
	return nil
}

// teach lets the plain handler know the bytes of an answer, which it will repeat.
func (q query) teach(ctx context.Context, all *cases, plain, roster *process) error {
	answer, err := roster.send(ctx, http.MethodPost, "/graphql", operation(q.document, q.cases(all)[0].document))
	if err != nil {
		return err
	}
	_, err = plain.send(ctx, http.MethodPut, "/"+q.name, answer)
	return err
}

// sameData tells whether the answers have the same data. Roster's has
// extensions besides.
func sameData(a, b []byte) bool {
	var x, y struct{ Data any }
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x.Data != nil && reflect.DeepEqual(x, y)
}
