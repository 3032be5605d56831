package transport

import (
	"context"
	"errors"
	"strings"

	"roster/access"
	"roster/problem"
	"roster/queue"
	"roster/secret"
	"roster/signin/browser"
)

// authenticate sets the context of the request, on which everything runs on behalf
// of the credential's actor, and its meter. Without a credential there is no actor, nor
// with the cookie of a session that has ended, which is cleared.
func (r *request) authenticate() (err error) {
	h := r.handler
	address := principalOf(r.http)
	r.ctx = queue.WithHolders(r.ctx, browser.Source(r.http)) // until it is known who asks
	var byCookie bool
	if r.credential, byCookie, err = r.readCredential(); err != nil {
		return err
	}
	if !r.credential.Empty() {
		actor, err := h.actorOf(r.ctx, r.credential, r.http.Header.Get(organizationHeader))
		if err == nil {
			r.ctx, r.meter = queue.WithHolders(access.WithActor(r.ctx, actor), actor.Holders()...), h.meterOf(actor)
			return nil
		}
		r.credential = secret.Text{}
		if !byCookie || !problem.Is(err, problem.Unauthenticated) {
			return err
		}
		h.options.Cookies.Clear(r.writer)
	}
	r.meter = h.meterOfAddress(address)
	return nil
}

// organizationHeader names the organization that a person acts in by its code or id.
const organizationHeader = "Roster-Organization"

// readCredential returns the credential of the request: the one of the header or, without
// that, the one of the cookie. It is empty if the request carries neither.
func (r *request) readCredential() (shown secret.Text, byCookie bool, err error) {
	authorization := r.http.Header.Get("Authorization")
	if authorization == "" {
		shown, err = r.handler.options.Cookies.Read(r.http)
		return shown, true, err
	}
	scheme, text, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return shown, false, errNoKey
	}
	return secret.New(strings.TrimSpace(text)), false, nil
}

var errNoKey = problem.New(problem.Unauthenticated, "Send an API key as \"Authorization: Bearer rk_…\".")

// authenticateAgain returns a context with the actor of the credential as it is now,
// after a wait: for the revision that the client asks for, for its body, or for its
// turn. It costs no statement unless something has changed.
func (r *request) authenticateAgain(ctx context.Context) (context.Context, error) {
	if r.credential.Empty() {
		return ctx, nil
	}
	actor, err := r.handler.actorOf(ctx, r.credential, r.http.Header.Get(organizationHeader))
	if err != nil {
		return ctx, err
	}
	return access.WithActor(ctx, actor), nil
}

// actorOf returns the actor that a credential belongs to. If the database is needed
// for that and is too busy, it returns a refusal.
func (h *Handler) actorOf(ctx context.Context, credential secret.Text, organization string) (*access.Actor, error) {
	actor, err := h.options.Authenticate(ctx, credential, organization)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, refuseBusy(err)
	}
	return actor, err
}
