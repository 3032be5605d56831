package execute_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"roster/graph/execute"
)

const renames = `mutation { a: rename(input: {id: "1", name: "x"}) { user { name team { name } } } ` +
	`b: FIELD { user { FIELDS } } c: rename(input: {id: "3"}) { user { name } } }`

func TestMutation(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		field, fields string
		want          string
		calls         map[string]int
	}{
		"all succeed": {
			field: `rename(input: {id: "2"})`, fields: "name",
			want:  `{'data':{'a':{'user':{'name':'x','team':{'name':'team 2'}}},'b':{'user':{'name':'anonymous'}},'c':{'user':{'name':'anonymous'}}}}`,
			calls: map[string]int{"Mutation.rename": 3, "User.team": 1},
		},
		"one fails": {
			field: `fail(message: "no")`, fields: "name",
			want:  `{'errors':[{'message':'no','path':['b']},{'message':'undone','path':['a']},{'message':'undone','path':['c']}],'data':null}`,
			calls: map[string]int{"Mutation.rename": 1, "Mutation.fail": 1, "User.team": 1},
		},
		"a field of its answer fails": {
			field: `rename(input: {id: "2"})`, fields: "broken",
			want:  `{'errors':[{'message':'it is broken','path':['b','user','broken']},{'message':'undone','path':['a']},{'message':'undone','path':['c']}],'data':null}`,
			calls: map[string]int{"Mutation.rename": 2, "User.broken": 1, "User.team": 1},
		},
		"an error of a parent that has none": {
			field: `rename(input: {id: "2"})`, fields: "risky",
			want:  `{'data':{'a':{'user':{'name':'x','team':{'name':'team 2'}}},'b':{'user':{'risky':null}},'c':{'user':{'name':'anonymous'}}}}`,
			calls: map[string]int{"Mutation.rename": 3, "User.rank": 1, "User.team": 1},
		},
		"a forbidden null": {
			field: `rename(input: {id: "4"})`, fields: "email",
			want: `{'errors':[{'message':'cannot return null for non-null field User.email (String!): the value was nil','path':['b','user','email']},` +
				`{'message':'undone','path':['a']},{'message':'undone','path':['c']}],'data':null}`,
			calls: map[string]int{"Mutation.rename": 3, "User.team": 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.schema.RolledBack = errors.New("undone")
			document := strings.NewReplacer("FIELDS", test.fields, "FIELD", test.field).Replace(renames)
			if got := text(t, answer(t, b.executor, document, "")); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if calls := b.resolver.Calls(); !maps.Equal(calls, test.calls) {
				t.Errorf("calls: %v", calls)
			}
		})
	}
}

// The fields behind one that failed run as Further says, and the answer has of their
// errors what Further leaves of them.
func TestFurtherFields(t *testing.T) {
	t.Parallel()
	const document = `mutation { a: fail(message: "one") { note } b: rename(input: {id: "1"}) { note } c: fail(message: "two") { note } ` +
		`d: fail(message: "three") { note } e: rename(input: {id: "2"}) { user { broken } } f: fail(message: "stop") { note } g: fail(message: "never") { note } }`
	b := setup(t)
	var undone int
	b.schema.Further = &execute.Further{
		Run: func(ctx context.Context, field func(context.Context) error) bool {
			err := field(ctx)
			if err != nil {
				undone++
			}
			return err == nil || err.Error() != "stop"
		},
		Independent: func(err error, args map[string]any, failures []execute.Failure) error {
			first := failures[0]
			if len(first.Errs) != 1 || first.Errs[0].Error() != "one" || first.Args["message"] != "one" {
				t.Errorf("failures: %+v", failures)
			}
			switch {
			case err.Error() == "two" && args["message"] == "two":
				return nil
			case err.Error() == "three" && len(failures) == 2, err.Error() == "it is broken" && args == nil && len(failures) == 3:
				return err
			default:
				return errors.New("unexpected")
			}
		},
	}
	got := text(t, answer(t, b.executor, document, ""))
	want := `{'errors':[{'message':'one','path':['a']},{'message':'three','path':['d']},{'message':'it is broken','path':['e','user','broken']}],'data':null}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if calls := b.resolver.Calls(); undone != 4 || calls["Mutation.fail"] != 4 || calls["Mutation.rename"] != 2 {
		t.Errorf("%d undone, calls: %v", undone, calls)
	}
}

func TestMutationHook(t *testing.T) {
	t.Parallel()
	const document = `mutation { fail(message: "no") { note } rename(input: {id: "1"}) { note } }`
	type key struct{}
	b := setup(t)
	b.resolver.Watch = func(ctx context.Context, _ string) {
		if ctx.Value(key{}) != "transaction" {
			t.Error("resolvers do not receive the context of the hook")
		}
	}
	b.schema.Mutation = func(ctx context.Context, run execute.Run) error {
		ctx = context.WithValue(ctx, key{}, "transaction")
		for range 2 {
			if data, err := run(ctx); data != nil || err == nil || err.Error() != "no" {
				t.Errorf("run returned %s, %v", data, err)
			}
		}
		return nil
	}
	got := text(t, answer(t, b.executor, document, ""))
	if want := `{'errors':[{'message':'no','path':['fail']}],'data':null}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if calls := b.resolver.Calls(); calls["Mutation.fail"] != 2 || calls["Mutation.rename"] != 0 {
		t.Errorf("calls: %v", calls)
	}
}

// The error which decides what becomes of the transaction is the first in time, since
// others may follow from it, and not the first in the answer.
func TestFirstFailure(t *testing.T) {
	t.Parallel()
	for document, first := range map[string]string{
		`mutation { rename(input: {id: "2"}) { user { boss { brokenTeam { id } } broken } } }`: "it is broken",
		`mutation { rename(input: {id: "2"}) { user { boss { broken } brokenTeam { id } } } }`: "the team is broken",
	} {
		b := setup(t)
		var failed error
		b.schema.Mutation = func(ctx context.Context, run execute.Run) (err error) {
			_, failed = run(ctx)
			return failed
		}
		got := text(t, answer(t, b.executor, document, ""))
		if failed == nil || failed.Error() != first || strings.Count(got, "broken'") != 3 {
			t.Errorf("run returned %v, the answer is %s", failed, got)
		}
	}
}

func TestMutationCannotBeCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.schema.Mutation = func(ctx context.Context, run execute.Run) error {
		data, err := run(ctx)
		if err != nil || string(data) != `{"rename":{"note":null}}` {
			t.Errorf("run returned %s, %v", data, err)
		}
		return errors.New("no commit")
	}
	got := text(t, answer(t, b.executor, `mutation { rename(input: {id: "1"}) { note } }`, ""))
	if want := `{'errors':[{'message':'no commit'}],'data':null}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
