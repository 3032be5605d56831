package directory_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"roster/db"
	"roster/idempotency"
	"roster/secret"
)

// An answer is kept if and only if its write has happened, also if the transaction
// has to run again.
func TestIdempotentlyRunsAgain(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	r := must(idempotency.NewRequest(secret.New("rk_secret"), secret.New("key"), sha256.Sum256(nil)))(t)
	runs := 0
	answer := func(db.Revision) []byte { return []byte{byte(runs)} }
	got, err := b.Idempotently(b.ctx, &r, func(ctx context.Context) error {
		if runs++; runs < 3 { // as if it had lost a race
			_, err := b.db.Executor(ctx).NewRaw("do $$ begin raise exception 'lost' using errcode = '40001'; end $$").Exec(ctx)
			return err
		}
		return nil
	}, answer)
	if err != nil || len(got) != 1 || got[0] != 3 {
		t.Errorf("%v, %v", got, err)
	}
	wrong := errors.New("wrong")
	fail := func(context.Context) error { t.Error("it happens twice"); return wrong }
	if got, err := b.Idempotently(b.ctx, &r, fail, answer); err != nil || len(got) != 1 || got[0] != 3 {
		t.Errorf("%v, %v", got, err)
	}
	other := must(idempotency.NewRequest(secret.New("rk_secret"), secret.New("key"), sha256.Sum256([]byte("other"))))(t)
	if got, err := b.Idempotently(b.ctx, &other, fail, answer); !errors.Is(err, idempotency.ErrOtherRequest) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}
