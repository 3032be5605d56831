package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
)

// maxCompared is roughly how many cases of each query are compared.
const maxCompared = 200

// compare returns an error unless both servers answer the query alike. For a query
// without a statement, it teaches the plain handler the answer.
func compare(ctx context.Context, q query, all *cases, plain, roster *process) error {
	if q.statement == "" {
		return q.teach(ctx, all, plain, roster)
	}
	cases := q.cases(all)
	for i := 0; i < len(cases); i += max(1, len(cases)/maxCompared) {
		ours, err := roster.send(ctx, http.MethodPost, "/graphql", operation(q.document, cases[i].document))
		if err != nil {
			return err
		}
		theirs, err := plain.send(ctx, http.MethodGet, q.path(cases[i]), nil)
		if err != nil {
			return err
		}
		if !sameData(ours, theirs) {
			return fmt.Errorf("%s: the answers for %v differ:\nRoster %.2000s\nplain  %.2000s", q.name, cases[i].document, ours, theirs)
		}
	}
	return nil
}

// teach sends the plain handler the bytes of one of Roster's answers, which it then
// repeats.
func (q query) teach(ctx context.Context, all *cases, plain, roster *process) error {
	answer, err := roster.send(ctx, http.MethodPost, "/graphql", operation(q.document, q.cases(all)[0].document))
	if err != nil {
		return err
	}
	_, err = plain.send(ctx, http.MethodPut, "/"+q.name, answer)
	return err
}

// sameData reports whether two answers have the same data. Roster's also has
// extensions.
func sameData(a, b []byte) bool {
	var x, y struct{ Data any }
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x.Data != nil && reflect.DeepEqual(x, y)
}
