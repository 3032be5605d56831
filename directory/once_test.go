package directory_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"roster/db"
	"roster/directory"
	"roster/secret"
)

// Answers are thrown away when they are too old, and no others are.
func TestSweep(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	once := func(key, answer string) {
		t.Helper()
		r := must(directory.NewRepeatable(secret.New("rk_secret"), secret.New(key), sha256.Sum256(nil)))(t)
		got, err := b.Once(b.ctx, &r, func(context.Context) error { return nil }, func(db.Revision) []byte { return []byte(answer) })
		if err != nil || string(got) != "first" {
			t.Errorf("%s: %s, %v", key, got, err)
		}
	}
	once("old", "first")
	must(b.db.NewRaw("update kept_answers set at = at - interval '25 hours'").Exec(b.ctx))(t)
	once("young", "first")
	for range 2 {
		if err := b.ForgetAnswers(b.ctx); err != nil {
			t.Fatal(err)
		}
		if n := one[int](b, "select count(*)::int from kept_answers"); n != 1 {
			t.Errorf("%d answers are left", n)
		}
	}
	once("young", "second")
}

// An answer is there if and only if what it tells of has happened, also when the
// transaction has to run again.
func TestOnceRunsAgain(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	r := must(directory.NewRepeatable(secret.New("rk_secret"), secret.New("key"), sha256.Sum256(nil)))(t)
	runs := 0
	answer := func(db.Revision) []byte { return []byte{byte(runs)} }
	got, err := b.Once(b.ctx, &r, func(ctx context.Context) error {
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
	if got, err := b.Once(b.ctx, &r, fail, answer); err != nil || len(got) != 1 || got[0] != 3 {
		t.Errorf("%v, %v", got, err)
	}
	other := must(directory.NewRepeatable(secret.New("rk_secret"), secret.New("key"), sha256.Sum256([]byte("other"))))(t)
	if got, err := b.Once(b.ctx, &other, fail, answer); !errors.Is(err, directory.ErrOtherRequest) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}
