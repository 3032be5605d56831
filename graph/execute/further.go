package execute

import "context"

// further runs the root fields behind the i-th one, which failed with faults, and
// returns those of their faults that do not follow from it.
func (x *execution) further(ctx context.Context, i int, faults []fault) (more []fault) {
	f := x.plan.schema.Further
	if f == nil {
		return nil
	}
	failures := []Failure{x.failureOf(i, faults)}
	for i++; i < len(x.root.columns) && len(faults)+len(more) < maxErrors; i++ {
		var own []fault
		goOn := f.Run(ctx, func(ctx context.Context) (failure error) {
			own, failure = x.mutateField(ctx, i)
			return failure
		})
		if !goOn || x.stopped != nil {
			break
		}
		if len(own) == 0 {
			continue
		}
		for _, one := range own {
			var args map[string]any
			if isOwn(one) {
				args = x.args(i)
			}
			if one.err = f.Independent(one.err, args, failures); one.err != nil {
				more = append(more, one)
			}
		}
		failures = append(failures, x.failureOf(i, own))
	}
	return more
}

// failureOf returns the failure of the i-th root field.
func (x *execution) failureOf(i int, faults []fault) Failure {
	failure := Failure{Args: x.args(i)}
	for _, one := range faults {
		if isOwn(one) {
			failure.Errs = append(failure.Errs, one.err)
		}
	}
	return failure
}

// args returns the arguments of the i-th root field.
func (x *execution) args(i int) map[string]any {
	return x.root.selection.fields[i].ast.ArgumentMap(x.plan.variables)
}

// isOwn reports whether a fault is of a root field itself, and not of a field below it.
func isOwn(one fault) bool { return len(one.path) == 1 }
