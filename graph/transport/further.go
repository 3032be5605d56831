package transport

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"roster/db"
	"roster/graph/execute"
	"roster/problem"
)

// further finds the faults of the fields of a mutation document that stand behind one
// that failed.
func (h *Handler) further() *execute.Further {
	return &execute.Further{
		Run: func(ctx context.Context, field func(context.Context) error) bool {
			err := h.directory.Writer.Apart(ctx, field)
			return err == nil || isClientsFault(err)
		},
		Independent: independent,
	}
}

// isClientsFault reports whether the input is at fault, and not the server or the
// moment.
func isClientsFault(err error) bool {
	err = db.Problem(err)
	if problem.Is(err, problem.Unavailable) || problem.Is(err, problem.Internal) {
		return false
	}
	_, ofInput := errors.AsType[*gqlerror.Error](err)
	return ofInput || len(problem.All(err)) > 0
}

// independent returns those problems of err that do not merely follow from earlier
// failures: that something is missing which a failed field would have made, or still
// there which it would have taken away.
//
// Nobody knows what a failed field would have done. So a problem follows if it is about
// something that a failed field names, too: the user, role, code or address that stands
// where the problem is. It does not follow if the failed field had the same problem
// with it. The wrong form of a text is nobody else's fault, nor is what the caller
// may not do.
func independent(err error, args map[string]any, failures []execute.Failure) error {
	problems := problem.All(db.Problem(err))
	if len(problems) == 0 {
		return err
	}
	var remaining problem.List
	for _, one := range problems {
		if !follows(one, args, failures) {
			remaining = append(remaining, one)
		}
	}
	return remaining.Err()
}

func follows(one *problem.Error, args map[string]any, failures []execute.Failure) bool {
	if one.Kind == problem.LastAdministrator {
		return true // any failed field may have brought another one
	}
	names := subjects(one, args)
	for _, failure := range failures {
		changed := changedBy(failure.Args, one.Kind)
		for _, err := range failure.Errs {
			for _, known := range problem.All(db.Problem(err)) {
				if known.Kind == one.Kind {
					changed.remove(subjects(known, failure.Args))
				}
			}
		}
		for name := range names {
			if changed[name] {
				return true
			}
		}
	}
	return false
}

// changedBy returns the names of what a field with these arguments may have changed so
// that a problem of that kind arises, or does not. What it acts upon, alone, is what it
// may have renamed or taken away.
func changedBy(args map[string]any, kind problem.Kind) texts {
	changed := texts{}
	if kind != problem.Conflict {
		changed.add(args)
		return changed
	}
	for _, input := range args {
		fields, _ := input.(map[string]any)
		for _, field := range fields {
			if reference, ok := field.(map[string]any); ok {
				changed.add(reference)
			}
		}
	}
	return changed
}

// subjects returns the names that a problem with arguments is about.
func subjects(one *problem.Error, args map[string]any) texts {
	names := texts{}
	switch value := valueAt(args, one.Field).(type) {
	case string:
		if one.Kind != problem.Invalid {
			names.add(value)
		}
	case map[string]any: // a reference, by its one field
		if one.Kind == problem.Invalid && len(value) > 1 {
			break
		}
		names.add(value)
	default:
		if one.Kind == problem.Conflict { // of a version: of everything named beside it
			names.add(args)
		}
	}
	return names
}

// valueAt returns the argument at a path such as "input.users.3", or nil if nothing stands there.
func valueAt(args map[string]any, path string) any {
	var value any = args
	for step := range strings.SplitSeq(path, ".") {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(inner) {
				return nil
			}
			value = inner[i]
		default:
			return nil
		}
	}
	return value
}

// texts is a set of texts in lower case.
type texts map[string]bool

// add adds every text in a JSON value.
func (t texts) add(value any) {
	switch value := value.(type) {
	case string:
		t[strings.ToLower(value)] = true
	case []any:
		for _, one := range value {
			t.add(one)
		}
	case map[string]any:
		for _, one := range value {
			t.add(one)
		}
	}
}

func (t texts) remove(others texts) {
	for text := range others {
		delete(t, text)
	}
}
