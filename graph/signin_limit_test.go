package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"roster/db"
	"roster/graph/graphtest"
)

// wantLimited fails the test unless the answer is LIMITED, and says for how many seconds.
func wantLimited(t testing.TB, a *graphtest.Answer) {
	t.Helper()
	if a.Codes() != "LIMITED" {
		t.Fatalf("%s\nwant LIMITED", a.Body)
	}
	if seconds, _ := a.Errors[0].Extensions["retryAfter"].(float64); seconds < 1 || seconds > 600 {
		t.Errorf("%s\nwant seconds in retryAfter", a.Body)
	}
}

// However an account is named, wherever from, on whichever server and at whichever moment:
// ten wrong passwords are tried, whether there is such an account or not. Whoever has the
// right one is in again soon after the last attempt of others.
func TestLimitOfPasswords(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	servers := []*graphtest.Server{b, b.Restarted(t)}
	b.Ask(t, `mutation { createUser(input: {email: "ada@acme.example", username: "ada", organizations: [{code: "default"}]}) { user { id } } }`)
	b.SignedIn(t, "ada@acme.example", "default")
	b.Clock.Stop()
	n := 0
	try := func(name object, password string) *graphtest.Answer {
		n++
		input := object{"password": password}
		for key, value := range name {
			input[key] = value
		}
		return signIn(t, servers[n%2].From(fmt.Sprintf("198.51.%d.%d", n/250, n%250)), input)
	}
	for account, names := range map[string][]object{
		"known":   {{"email": "ada@acme.example"}, {"username": "ada"}, {"email": "ADA@ACME.example"}, {"username": "ADA"}},
		"unknown": {{"email": "eve@acme.example"}, {"email": "EVE@ACME.example"}},
	} {
		t.Run(account, func(t *testing.T) {
			var tries sync.WaitGroup
			answers := make([]*graphtest.Answer, 24)
			for i := range answers {
				on := servers[i%2].From(fmt.Sprintf("203.0.113.%d", i))
				tries.Go(func() {
					input := object{"password": "wrong " + password}
					for key, value := range names[i%len(names)] {
						input[key] = value
					}
					answers[i] = signIn(t, on, input)
				})
			}
			tries.Wait()
			tried := 0
			for _, a := range answers {
				if a.Codes() == "UNAUTHENTICATED" {
					tried++
					continue
				}
				wantLimited(t, a)
			}
			if tried != 10 {
				t.Errorf("%d passwords were tried, want 10", tried)
			}
			for _, name := range names {
				wantLimited(t, try(name, password))
			}
			native, err := json.Marshal(object{"query": `mutation($input: SignInInput!) { signIn(input: $input) { secret } }`, "variables": object{"input": object{"email": names[0]["email"], "password": password}}})
			graphtest.Must(t, err)
			header := graphtest.Headers("")
			header.Set("Accept", "application/graphql-response+json")
			if a := b.Send(t, http.MethodPost, "/graphql", header, native); a.Status != http.StatusTooManyRequests {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			for range 4 { // the flood goes on
				b.Clock.Advance(61 * time.Second)
				if a := try(names[0], "wrong "+password); a.Codes() != "UNAUTHENTICATED" {
					t.Errorf("%s", a.Body)
				}
				wantLimited(t, try(names[0], "wrong "+password))
			}
			b.Clock.Advance(90 * time.Second)
			if a := try(names[0], password); account == "known" {
				wantSession(t, a)
			} else if a.Codes() != "UNAUTHENTICATED" {
				t.Errorf("%s", a.Body)
			}
		})
	}
	a := b.Ask(t, `{ signIns(first: 100) { nodes { succeeded reason user { email } } } }`)
	reasons := map[string]int{}
	for _, one := range a.List("signIns.nodes") {
		reasons[fmt.Sprint(graphtest.At(one, "succeeded"), " ", graphtest.At(one, "reason"), " ", graphtest.At(one, "user.email"))]++
	}
	if reasons["true <nil> ada@acme.example"] != 1 || reasons["false UNAUTHENTICATED ada@acme.example"] != 14 || reasons["false UNAUTHENTICATED <nil>"] != 15 || reasons["false LIMITED ada@acme.example"] == 0 {
		t.Errorf("the log has %v", reasons)
	}
}

// Requests that come at the same moment are counted in another order than that of their
// times, and are none too many.
func TestAttemptsOutOfOrder(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, `mutation { createUser(input: {email: "ada@acme.example", organizations: [{code: "default"}]}) { user { id } } }`)
	b.SignedIn(t, "ada@acme.example", "default")
	b.Clock.Stop()
	for range 9 {
		if a := signIn(t, b, object{"email": "ada@acme.example", "password": "wrong " + password}); a.Codes() != "UNAUTHENTICATED" {
			t.Fatalf("%s", a.Body)
		}
		b.Clock.Advance(-time.Millisecond)
	}
	wantSession(t, signIn(t, b, object{"email": "ada@acme.example", "password": password}))
	for range 2 {
		b.Clock.Advance(time.Second)
		signIn(t, b, object{"email": "ada@acme.example", "password": "wrong " + password})
	}
	wantLimited(t, signIn(t, b, object{"email": "ada@acme.example", "password": password}))
}

// Mails are limited by the address that they go to, however it was named, and by the client that asks.
func TestLimitOfMails(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, `mutation { createUser(input: {email: "ada@acme.example", username: "ada", organizations: [{code: "default"}]}) { user { id } } }`)
	b.Clock.Stop()
	ways := []func(on *graphtest.Server) *graphtest.Answer{
		func(on *graphtest.Server) *graphtest.Answer {
			return signIn(t, on, object{"email": "ada@acme.example"})
		},
		func(on *graphtest.Server) *graphtest.Answer { return signIn(t, on, object{"username": "ada"}) },
		func(on *graphtest.Server) *graphtest.Answer { return requestReset(t, on, "ADA@acme.example") },
		func(on *graphtest.Server) *graphtest.Answer {
			return signUp(t, on, object{"email": "ada@ACME.example"})
		},
	}
	for i := range 5 {
		b.Clock.Advance(time.Millisecond)
		if a := ways[i%len(ways)](b.From(fmt.Sprint("198.51.100.", i))); len(a.Errors) > 0 {
			t.Errorf("%s", a.Body)
		}
	}
	for i, way := range ways {
		wantLimited(t, way(b.From(fmt.Sprint("203.0.113.", i))))
	}
	b.Clock.Advance(10 * time.Minute)
	if a := ways[1](b); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
	flood := b.From("2001:db8::1")
	for i := range 50 {
		if a := requestReset(t, flood, fmt.Sprintf("%d@acme.example", i)); len(a.Errors) > 0 {
			t.Fatalf("%d: %s", i, a.Body)
		}
	}
	wantLimited(t, requestReset(t, b.From("2001:db8::2"), "another@acme.example")) // one network
	hashed := b.SignIn.Passwords.Hashed()
	wantLimited(t, signUp(t, flood, object{"email": "new@acme.example", "password": password}))
	if b.SignIn.Passwords.Hashed() != hashed {
		t.Error("a password is hashed for a sign-up that is refused")
	}
	if a := requestReset(t, b.From("2001:db8:0:1::1"), "another@acme.example"); len(a.Errors) > 0 {
		t.Errorf("%s", a.Body)
	}
}

// Five codes are tried for a ticket.
func TestLimitOfCodes(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, `mutation { createUser(input: {email: "ada@acme.example", organizations: [{code: "default"}]}) { user { id } } }`)
	ticket := wantStep(t, signIn(t, b, object{"email": "ada@acme.example"}), "EMAIL_CODE")
	right := b.Mail.Last(t, "ada@acme.example", 1).Code
	for i := range 5 {
		if a := continueSignIn(t, b, object{"ticket": ticket, "code": fmt.Sprint("wrong ", i)}); a.Codes() != "INVALID" || a.Field(0) != "input.code" {
			t.Errorf("%s", a.Body)
		}
	}
	if a := continueSignIn(t, b, object{"ticket": ticket, "code": right}); a.Codes() != "INVALID" || a.Field(0) != "input.ticket" {
		t.Errorf("%s", a.Body)
	}
	ticket = wantStep(t, signIn(t, b, object{"email": "ada@acme.example"}), "EMAIL_CODE")
	b.Clock.Advance(10*time.Minute + time.Second)
	if a := continueSignIn(t, b, object{"ticket": ticket, "code": b.Mail.Last(t, "ada@acme.example", 2).Code}); a.Codes() != "INVALID" || a.Field(0) != "input.ticket" {
		t.Errorf("a code is good for too long: %s", a.Body)
	}
}

// A password that is not set, since there were too many wrong codes, is not hashed either.
func TestLimitOfResets(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, `mutation { createUser(input: {email: "ada@acme.example", organizations: [{code: "default"}]}) { user { id } } }`)
	b.Clock.Stop()
	for range 2 {
		ticket := requestReset(t, b, "ada@acme.example").Text("payload.step.ticket")
		for range 5 {
			if a := resetPassword(t, b, ticket, "wrong"); a.Codes() != "INVALID" {
				t.Errorf("%s", a.Body)
			}
		}
	}
	ticket := requestReset(t, b, "ada@acme.example").Text("payload.step.ticket")
	hashed := b.SignIn.Passwords.Hashed()
	wantLimited(t, resetPassword(t, b, ticket, b.Mail.Last(t, "ada@acme.example", 3).Code))
	if b.SignIn.Passwords.Hashed() != hashed {
		t.Error("the password is hashed")
	}
}

// A session ends when it has not been used for long enough, and at the latest when it is
// old enough, however much it is used.
func TestSessionsEndByTime(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	other := b.Restarted(t)
	settings(t, b, "sessionIdleSeconds: 3600, sessionMaximumSeconds: 7200")
	b.Ask(t, `mutation { createUser(input: {email: "ada@acme.example", organizations: [{code: "default"}]}) { user { id } } }`)
	enter := func(n int) string {
		ticket := wantStep(t, signIn(t, b, object{"email": "ada@acme.example"}), "EMAIL_CODE")
		return wantSession(t, continueSignIn(t, b, object{"ticket": ticket, "code": b.Mail.Last(t, "ada@acme.example", n).Code}))
	}
	works := func(on *graphtest.Server, session string) bool {
		return on.As(t, session, `{ viewer { session { id } } }`, nil).Status == http.StatusOK
	}
	used, idle := enter(1), enter(2)
	usedID, err := db.ParseID[db.SessionKind](sessionID(t, b, used))
	graphtest.Must(t, err)
	b.Clock.Advance(50 * time.Minute)
	graphtest.Eventually(t, 30*time.Second, "its use is on record", func() bool {
		return works(b, used) && graphtest.Rows[bool](t, b, "select last_used_at > created_at + interval '40 minutes' from sessions where id = $1", usedID)[0]
	})
	b.Clock.Advance(20 * time.Minute)
	for _, on := range []*graphtest.Server{b, other} {
		graphtest.Eventually(t, 30*time.Second, "the idle one ends", func() bool { return !works(on, idle) })
		if !works(on, used) {
			t.Error("a session that is used ends")
		}
	}
	b.Clock.Advance(51 * time.Minute)
	for _, on := range []*graphtest.Server{b, other} {
		graphtest.Eventually(t, 30*time.Second, "the old one ends", func() bool { return !works(on, used) })
	}
}
