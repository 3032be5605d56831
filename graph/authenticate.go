package graph

import (
	"context"
	"errors"
	"strings"

	"roster/access"
	"roster/problem"
	"roster/secret"
)

// authenticate gives the exchange a context on which everything runs on behalf
// of whom the credential belongs to, nobody when there is none, and a meter.
func (x *exchange) authenticate() error {
	h, authorization := x.handler, x.request.Header.Get("Authorization")
	if authorization == "" {
		x.meter = h.meterOfAddress(x.request.RemoteAddr)
		return nil
	}
	scheme, key, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return problem.New(problem.Unauthenticated, "Send an API key as \"Authorization: Bearer rk_…\".")
	}
	credential := secret.New(strings.TrimSpace(key))
	actor, err := h.actorOf(x.ctx, credential)
	if err != nil {
		return err
	}
	x.ctx, x.credential, x.meter = access.WithActor(x.ctx, actor), credential, h.meterOfKey(actor)
	return nil
}

// actorOf gives whom a credential belongs to. When the database, which may have to
// say it, is too busy, the request is turned away here.
func (h *Handler) actorOf(ctx context.Context, credential secret.Text) (*access.Actor, error) {
	if err := h.keys.Enter(ctx); err != nil {
		return nil, busy(err)
	}
	defer h.keys.Leave()
	actor, err := h.directory.Authenticate(ctx, credential)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, busy(err)
	}
	return actor, err
}
