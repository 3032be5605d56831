package directory_test

import (
	"cmp"
	"context"
	"errors"
	"testing"

	"roster/access"
	"roster/directory"
)

// Nobody is kept from their work by somebody who tries in vain to end them: what they are
// doing is interrupted neither by those who must not act on them, nor by a dry run.
func TestNobodyIsInterruptedInVain(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	boss := b.administrator("boss")
	_, shown := b.keyOf(directory.UserRef{Username: &boss.user}, "", string(access.UsersWrite))
	bosses := must(b.Authenticate(t.Context(), shown, ""))(t)
	weak := b.holding("", string(access.UsersWrite), string(access.KeysWrite))
	user := directory.UserActionInput{User: directory.UserRef{Username: &boss.user}}
	offboarded := directory.OffboardUserInput{User: user.User}
	key := directory.APIKeyActionInput{APIKey: bosses.Key.ID.String()}
	alone := func(_ []directory.Mutation, end func(ctx context.Context) error) error { return end(weak) }
	document := func(mutations []directory.Mutation, end func(ctx context.Context) error) error {
		return b.Writer.Atomically(weak, func(ctx context.Context) error {
			if err := b.LockAhead(ctx, append(mutations, mutations...)); err != nil {
				return err
			}
			return end(ctx)
		})
	}
	errUndone := errors.New("it was undone")
	dry := func(_ []directory.Mutation, end func(ctx context.Context) error) error {
		return cmp.Or(b.Writer.DryRun(b.ctx, end), errUndone)
	}
	for name, c := range map[string]struct {
		mutation directory.Mutation
		end      func(ctx context.Context) error
	}{
		"suspend":  {directory.Mutation{Name: "suspendUser", Input: user}, func(ctx context.Context) error { return noResult(b.SuspendUser(ctx, user)) }},
		"delete":   {directory.Mutation{Name: "deleteUser", Input: user}, func(ctx context.Context) error { return noResult(b.DeleteUser(ctx, user)) }},
		"offboard": {directory.Mutation{Name: "offboardUser", Input: offboarded}, func(ctx context.Context) error { return noResult(b.OffboardUser(ctx, offboarded)) }},
		"revoke":   {directory.Mutation{Name: "revokeApiKey", Input: key}, func(ctx context.Context) error { return noResult(b.RevokeAPIKey(ctx, key)) }},
	} {
		for how, try := range map[string]func([]directory.Mutation, func(ctx context.Context) error) error{"alone": alone, "in a document": document, "in a dry run": dry} {
			t.Run(name+" "+how, func(t *testing.T) {
				runs := 0
				must(0, b.Writer.Atomically(access.WithActor(t.Context(), bosses), func(ctx context.Context) error {
					if runs++; runs > 1 {
						return nil
					}
					if err := try([]directory.Mutation{c.mutation}, c.end); err == nil {
						t.Error("it was carried out")
					}
					return ctx.Err()
				}))(t)
				if runs != 1 {
					t.Errorf("the work ran %d times", runs)
				}
			})
		}
	}
}
