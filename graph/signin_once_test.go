package graph_test

import (
	"slices"
	"sync"
	"testing"

	"roster/graph/graphtest"
)

// raceOn runs n tries at the same moment, by turns on the servers, and returns how many
// were not refused. The others must be INVALID or, since there are too many at a time,
// LIMITED or UNAVAILABLE.
func raceOn(t *testing.T, n int, servers []*graphtest.Server, try func(on *graphtest.Server) *graphtest.Answer) (won int) {
	t.Helper()
	answers := make([]*graphtest.Answer, n)
	var ready, tries sync.WaitGroup
	ready.Add(n)
	for i := range answers {
		tries.Go(func() {
			ready.Done()
			ready.Wait()
			answers[i] = try(servers[i%len(servers)])
		})
	}
	tries.Wait()
	for _, a := range answers {
		switch {
		case len(a.Errors) == 0:
			won++
		case !slices.Contains([]string{"INVALID", "LIMITED", "UNAVAILABLE"}, a.Codes()):
			t.Errorf("a loser gets %s", a.Body)
		}
	}
	return won
}

// Whatever is good for one use has one winner of any number of racers on two servers.
func TestSingleUse(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	servers := []*graphtest.Server{b, b.Restarted(t)}
	b.Ask(t, clerks)
	holder := newTicketed(t, b, "ada@acme.example", "acme")
	newcomer := begin(t, b, object{"email": "new@acme.example"})
	newcomerCode := b.Mail.Last(t, newcomer.email, 1).Code
	proceed := func(input object) func(*graphtest.Server) *graphtest.Answer {
		return func(on *graphtest.Server) *graphtest.Answer { return continueSignIn(t, on, input) }
	}
	numberOfSessions := func(email string) int {
		return graphtest.Rows[int](t, b, "select count(*) from sessions where user_id = (select id from users where email = $1)", email)[0]
	}
	for _, test := range []struct {
		name     string
		racers   int // fewer where each hashes passwords
		email    string
		sessions int // that the winner starts
		try      func(*graphtest.Server) *graphtest.Answer
	}{
		{"code of a sign-up", 50, newcomer.email, 1, proceed(object{"ticket": newcomer.ticket, "code": newcomerCode})},
		{"code of a sign-in", 50, holder.email, 1, proceed(holder.tickets["EMAIL_CODE"])},
		{"choice of the organization", 50, holder.email, 1, proceed(holder.tickets["ORGANIZATION"])},
		{"replacement of a temporary password", 4, holder.email, 1, proceed(holder.tickets["NEW_PASSWORD"])},
		{"code of another address", 50, "new-" + holder.email, 0, func(on *graphtest.Server) *graphtest.Answer {
			return confirmEmail(t, on, holder.session, holder.change, holder.changeCode)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.Execute(t, "delete from attempts")
			before := numberOfSessions(test.email)
			if won := raceOn(t, test.racers, servers, test.try); won != 1 {
				t.Errorf("%d racers win", won)
			}
			if test.sessions == 0 {
				before = numberOfSessions(test.email)
			}
			if n := numberOfSessions(test.email) - before; n != test.sessions {
				t.Errorf("%d sessions start, want %d", n, test.sessions)
			}
			if n := graphtest.Rows[int](t, b, "select count(*) from users where email = $1", test.email)[0]; n != 1 {
				t.Errorf("there are %d users", n)
			}
		})
	}
	t.Run("code of a reset", func(t *testing.T) {
		const email = "new@acme.example"
		ticket := requestReset(t, b, email).Text("payload.step.ticket")
		code := b.Mail.Last(t, email, 2).Code
		b.Execute(t, "delete from attempts")
		if won := raceOn(t, 4, servers, func(on *graphtest.Server) *graphtest.Answer { return resetPassword(t, on, ticket, code) }); won != 1 {
			t.Errorf("%d racers win", won)
		}
		actions := b.Ask(t, `{ changes(last: 20, filter: {action: "user.password.changed"}) { nodes { action } } }`).Texts("changes.nodes", "action")
		if n := len(slices.Compact(actions)); n != 1 || numberOfSessions(email) != 0 {
			t.Errorf("%v, and %d sessions", actions, numberOfSessions(email))
		}
	})
}
