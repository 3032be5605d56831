package graph

import (
	"context"
	"errors"
	"strings"

	"roster/access"
	"roster/graph/budget"
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
	if err := x.welcome(credential); err != nil {
		return err
	}
	actor, err := h.actorOf(x.ctx, credential)
	if err != nil {
		return err
	}
	x.ctx, x.credential, x.meter = access.WithActor(x.ctx, actor), credential, h.meterOfKey(actor)
	return nil
}

// authenticateAnew asks again whom the credential belongs to and what they may do,
// since that is as old as the answer that the client will not have.
func (x *exchange) authenticateAnew() error {
	if x.credential.Empty() {
		return nil
	}
	actor, err := x.handler.actorOf(x.ctx, x.credential)
	if err != nil {
		return err
	}
	x.ctx = access.WithActor(x.ctx, actor)
	return nil
}

// strangerRate bounds the keys that an address may try which this server has not
// seen work lately: each costs a look-up. That is plenty for all clients behind
// one address after a restart, and little for whoever makes keys up.
var strangerRate = budget.Rate{PerSecond: 50, Burst: 1000}

// welcome turns a key away which may be made up, when too many such came from its
// address. Keys that work are not in the way of each other.
func (x *exchange) welcome(credential secret.Text) error {
	if x.handler.directory.Recognises(credential) {
		return nil
	}
	account, ok := x.handler.budgets.Charge(addressOf(x.request.RemoteAddr, principalStranger), strangerRate, 1)
	if ok {
		return nil
	}
	return &refusal{
		status: statusTooMany, retryAfter: account.Wait,
		cause: problem.New(problem.Limited, "Too many unknown API keys came from this address. Try again later."),
	}
}

// actorOf gives whom a credential belongs to. When the database, which may have to
// say it, is too busy or away, the request is turned away here.
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
