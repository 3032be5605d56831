package transport

import (
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"roster/access"
	"roster/graph/budget"
	"roster/problem"
	"roster/telemetry"
)

// denialRate bounds the lines that one client's denials leave in the log. The metrics
// count all of them.
var denialRate = budget.Rate{PerSecond: 1, Burst: 10}

// noteDenials counts what errs deny to the client, each code once, and logs it with
// the ids of the client: no address, nothing that the client sent.
func (r *request) noteDenials(errs gqlerror.List) {
	var codes []string
	reason := ""
	for i, code := range codesOf(errs) {
		if !slices.Contains(telemetry.DenialCodes, code) {
			continue
		}
		if !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
		// The messages of these name permissions only.
		if reason == "" && (code == string(problem.Forbidden) || code == string(problem.Escalation)) {
			reason = errs[i].Message
		}
	}
	if len(codes) == 0 {
		return
	}
	var more []slog.Attr
	if reason != "" {
		more = append(more, slog.String("reason", reason))
	}
	r.handler.noteDenied(r.ctx, r.principal(), codes, more...)
}

// Denied counts what another door has denied to a client, by the codes of the problems, and logs
// it: no message, which may have what somebody has typed there.
func (h *Handler) Denied(ctx context.Context, r *http.Request, door string, kinds ...problem.Kind) {
	var codes []string
	for _, kind := range kinds {
		if code := string(kind); slices.Contains(telemetry.DenialCodes, code) && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	if len(codes) > 0 {
		h.noteDenied(ctx, principalOf(r), codes, slog.String("door", door))
	}
}

// noteDenied counts the codes, and logs them with the ids of the actor of ctx.
func (h *Handler) noteDenied(ctx context.Context, who budget.Principal, codes []string, more ...slog.Attr) {
	h.options.Metrics.Denied(codes...)
	if _, ok := h.denialLines.Charge(who, denialRate, 1); !ok {
		return
	}
	attributes := append([]slog.Attr{slog.Any("codes", codes)}, more...)
	h.options.Log.LogAttrs(ctx, slog.LevelInfo, "denied", append(attributes, idsOf(access.ActorOf(ctx))...)...)
}

// principal returns whom the request is charged to; before that is known, the address.
func (r *request) principal() budget.Principal {
	if r.meter.budgets != nil {
		return r.meter.principal
	}
	return principalOf(r.http)
}

// idsOf returns the ids of an actor for the log; none for a client without a
// credential that works.
func idsOf(actor *access.Actor) (ids []slog.Attr) {
	if actor == nil || actor.System != "" {
		return nil
	}
	if actor.Key != nil {
		ids = append(ids, slog.String("key", actor.Key.ID.String()))
	}
	if actor.User != nil {
		ids = append(ids, slog.String("user", actor.User.String()))
	}
	if actor.Organization != nil {
		ids = append(ids, slog.String("organization", actor.Organization.String()))
	}
	return ids
}
