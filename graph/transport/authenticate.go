package transport

import (
	"context"
	"errors"
	"strings"

	"roster/access"
	"roster/problem"
	"roster/queue"
	"roster/secret"
)

// authenticate sets the context of the request, on which everything runs on behalf
// of the credential's actor, and its meter. Without a credential there is no actor.
func (r *request) authenticate() error {
	h, authorization := r.handler, r.http.Header.Get("Authorization")
	address := addressOf(r.http.RemoteAddr)
	r.ctx = queue.WithHolders(r.ctx, address) // until it is known who asks
	if authorization == "" {
		r.meter = h.meterOfAddress(address)
		return nil
	}
	scheme, key, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return errNoKey
	}
	credential := secret.New(strings.TrimSpace(key))
	actor, err := h.actorOf(r.ctx, credential)
	if err != nil {
		return err
	}
	r.ctx, r.credential, r.meter = queue.WithHolders(access.WithActor(r.ctx, actor), holders(actor)...), credential, h.meterOfKey(actor)
	return nil
}

var errNoKey = problem.New(problem.Unauthenticated, "Send an API key as \"Authorization: Bearer rk_…\".")

// authenticateAgain looks up the actor of the credential again after a wait: what
// was known of it before may be older than the revision that the client asks for.
func (r *request) authenticateAgain() error {
	if r.credential.Empty() {
		return nil
	}
	actor, err := r.handler.actorOf(r.ctx, r.credential)
	if err != nil {
		return err
	}
	r.ctx = access.WithActor(r.ctx, actor)
	return nil
}

// actorOf returns the actor that a credential belongs to. If the database is needed
// for that and is too busy, it returns a refusal.
func (h *Handler) actorOf(ctx context.Context, credential secret.Text) (*access.Actor, error) {
	actor, err := h.directory.Authenticate(ctx, credential)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, refuseBusy(err)
	}
	return actor, err
}
