package transport

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"roster/access"
	"roster/graph/budget"
	"roster/problem"
	"roster/signin/browser"
)

// DefaultCostPerSecond is what an API key may spend in the long run. A page of 50
// users with organizations and roles costs some 6,000, and a check 255. The default
// is more than a server of 16 processors answers: one key may use the whole server
// unless the operator says less (ROSTER_COST_PER_SECOND).
const DefaultCostPerSecond = 50_000_000

// burstSeconds is how many seconds' worth may be spent at once.
const burstSeconds = 10

// addressRate is for clients without a credential, which can read only that there
// is no viewer. Refused requests cost their size in bytes, so that it allows the
// largest document every two seconds, or thousands of small ones.
var addressRate = budget.Rate{PerSecond: 100_000, Burst: 2_000_000}

func keyRate(perSecond int) budget.Rate {
	perSecond = cmp.Or(perSecond, DefaultCostPerSecond)
	return budget.Rate{PerSecond: perSecond, Burst: burstSeconds * perSecond}
}

// Kinds of principals.
const (
	principalKey = iota + 1
	principalAddress
	principalUser
)

// meter charges a request to its principal's budget, and remembers what the answer
// says about it.
type meter struct {
	budgets   *budget.Budgets
	principal budget.Principal
	rate      budget.Rate
	account   budget.Account
	requested int
}

// meterOf returns the meter of an API key, or of a person, whose sessions have one
// together.
func (h *Handler) meterOf(actor *access.Actor) meter {
	m := meter{budgets: h.budgets, rate: h.costs}
	if actor.Key != nil {
		m.principal = budget.Principal{Kind: principalKey, ID: [16]byte(actor.Key.ID)}
	} else {
		m.principal = budget.Principal{Kind: principalUser, ID: [16]byte(*actor.User)}
	}
	return m
}

// meterOfAddress returns the meter of a client without a credential.
func (h *Handler) meterOfAddress(address budget.Principal) meter {
	return meter{budgets: h.budgets, rate: addressRate, principal: address}
}

// principalOf returns the principal of a client that is known by its address alone.
func principalOf(r *http.Request) budget.Principal {
	return budget.Principal{Kind: principalAddress, ID: browser.Source(r).Addr().As16()}
}

// check returns a refusal if nothing is left to spend.
func (m *meter) check() error {
	account, ok := m.budgets.Charge(m.principal, m.rate, 0)
	m.account = account
	if !ok {
		return m.exhausted()
	}
	return nil
}

// charge takes the cost of an operation out of the budget. It returns a refusal if
// that is more than limit, or more than is left.
func (m *meter) charge(cost, limit int) error {
	m.requested = cost
	if cost > limit {
		return &refusal{
			status: statusUnprocessable, ofDocument: true, requested: cost, limit: limit,
			cause: problem.New(problem.Limited, "The operation costs %d; at most %d are allowed. Ask for fewer, or for shorter lists.", cost, limit),
		}
	}
	account, ok := m.budgets.Charge(m.principal, m.rate, cost)
	m.account = account
	if !ok {
		return m.exhausted()
	}
	return nil
}

// take charges for a refused request. If the cost of its operation is known, the
// answer still says that.
func (m *meter) take(cost int) {
	m.requested = cmp.Or(m.requested, cost)
	m.account = m.budgets.Take(m.principal, m.rate, cost)
}

// chargeAnswer charges for the bytes of an answer, if they cost more than what was asked
// for: if need be, in advance of what comes later.
func (m *meter) chargeAnswer(size int) {
	if cost := size / bytesPerCost; m.account.Limit > 0 && cost > m.requested {
		m.account = m.budgets.Take(m.principal, m.rate, cost-m.requested)
		m.requested = cost
	}
}

func (m *meter) exhausted() error {
	return &refusal{
		status: statusTooMany, retryAfter: m.account.Wait, requested: max(m.requested, 1), limit: m.account.Remaining,
		cause: problem.New(problem.Limited, "The operation costs %d; of the budget, %d are left. Try again later.", max(m.requested, 1), m.account.Remaining),
	}
}

// append appends extensions.cost: what the operation costs, the size of the budget,
// what is left of it, and when it will be full again.
func (m *meter) append(b []byte) []byte {
	b = append(b, `"cost":{"requested":`...)
	b = strconv.AppendInt(b, int64(m.requested), 10)
	b = append(b, `,"limit":`...)
	b = strconv.AppendInt(b, int64(m.account.Limit), 10)
	b = append(b, `,"remaining":`...)
	b = strconv.AppendInt(b, int64(m.account.Remaining), 10)
	b = append(b, `,"resetAt":"`...)
	b = m.account.ResetAt.UTC().AppendFormat(b, time.RFC3339)
	return append(b, `"}`...)
}
