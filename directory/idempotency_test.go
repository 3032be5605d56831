package directory_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"roster/db"
	"roster/directory"
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
		return noResult(b.CreateUser(ctx, directory.CreateUserInput{Username: new("ada")}))
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

// The answer to a document that has changed a user goes when the user is deleted,
// and so do the ones about a membership or a key of the user; the document does not
// run again. Answers about others stay.
func TestAnswersAboutADeletedUserAreErased(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme := b.organization("acme")
	b.role("worker")
	b.user("bob", acme)
	ctx := b.ctx
	documents := []struct {
		name   string
		run    func(ctx context.Context) error
		erased bool
	}{
		{"created", func(ctx context.Context) error {
			return noResult(b.CreateUser(ctx, directory.CreateUserInput{Username: new("ada")}))
		}, true},
		{"granted", func(ctx context.Context) error {
			return noResult(b.AddMembers(ctx, directory.AddMembersInput{Organization: orgCode("acme"), Users: []*directory.UserRef{&ada}, Roles: roleRefs("worker")}))
		}, true},
		{"another user", func(ctx context.Context) error {
			return noResult(b.SuspendUser(ctx, directory.UserActionInput{User: directory.UserRef{Username: new("bob")}}))
		}, false},
	}
	text := func(db.Revision) []byte { return []byte("answer") }
	requestOf := func(name string) *idempotency.Request {
		r := must(idempotency.NewRequest(secret.New("rk_secret"), secret.New(strings.ReplaceAll(name, " ", "-")), sha256.Sum256(nil)))(t)
		return &r
	}
	for _, document := range documents {
		must(b.Idempotently(ctx, requestOf(document.name), document.run, text))(t)
	}
	must(b.DeleteUser(ctx, directory.UserActionInput{User: ada}))(t)
	for _, document := range documents {
		again := func(context.Context) error { t.Errorf("%s: it happens twice", document.name); return nil }
		got, err := b.Idempotently(ctx, requestOf(document.name), again, text)
		if document.erased && (got != nil || !errors.Is(err, idempotency.ErrErased)) || !document.erased && (err != nil || string(got) != "answer") {
			t.Errorf("%s: %q, %v", document.name, got, err)
		}
	}
}
