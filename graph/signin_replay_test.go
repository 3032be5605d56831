package graph_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"roster/graph/graphtest"
)

// What can be captured of a person: what belongs to their session, to another one of theirs,
// and a sign-in under way.
const (
	ownSession   = "session"
	ownCookie    = "session in a cookie"
	ownToken     = "access token of the session"
	otherSession = "another session"
	otherToken   = "access token of another session"
	underWay     = "ticket and code"
)

// Once a session has ended, nothing that was captured of it works, on any server.
func TestReplay(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	other := b.Restarted(t)
	b.Ask(t, clerks)
	own := []string{ownSession, ownCookie, ownToken}
	all := append([]string{otherSession, otherToken, underWay}, own...)
	asAdministrator := func(document string) func(*testing.T, *reader) {
		return func(t *testing.T, p *reader) {
			t.Helper()
			b.Ask(t, document, object{"e": p.email, "s": sessionID(t, b, p.session), "p": "new " + password})
		}
	}
	asPerson := func(document string) func(*testing.T, *reader) {
		return func(t *testing.T, p *reader) {
			t.Helper()
			if a := b.As(t, p.session, document, object{"p": password, "n": "new " + password}); len(a.Errors) > 0 {
				t.Fatalf("%s", a.Body)
			}
		}
	}
	i := 0
	for name, test := range map[string]struct {
		act  func(*testing.T, *reader)
		ends []string
	}{
		"sign-out":                          {asPerson(`mutation { signOut { endedSessions } }`), own},
		"sign-out everywhere":               {asPerson(`mutation { signOut(input: {everywhere: true}) { endedSessions } }`), all},
		"session ended by an administrator": {asAdministrator(`mutation($s: ID!) { endSession(input: {session: $s}) { endedSessions } }`), own},
		"password changed":                  {asPerson(`mutation($p: String!, $n: String!) { changePassword(input: {currentPassword: $p, newPassword: $n}) { accepted } }`), []string{otherSession, otherToken, underWay}},
		"password set by an administrator":  {asAdministrator(`mutation($e: String!, $p: String!) { setTemporaryPassword(input: {user: {email: $e}, password: $p}) { user { id } } }`), all},
		"suspended":                         {asAdministrator(`mutation($e: String!) { suspendUser(input: {user: {email: $e}}) { user { id } } }`), all},
		"deleted":                           {asAdministrator(`mutation($e: String!) { deleteUser(input: {user: {email: $e}}) { deletedIds } }`), all},
		"password reset": {func(t *testing.T, p *reader) {
			t.Helper()
			ticket := requestReset(t, b, p.email).Text("payload.step.ticket")
			if a := resetPassword(t, b, ticket, b.Mail.Last(t, p.email, 2).Code); len(a.Errors) > 0 {
				t.Fatalf("%s", a.Body)
			}
		}, all},
	} {
		i++
		email, org := fmt.Sprintf("replay%d@acme.example", i), fmt.Sprintf("org%d", i)
		t.Run(name, func(t *testing.T) {
			p := newHolder(t, b, email, org)
			delete(p.credentials, "API key")
			second := b.SignedIn(t, email, org)
			p.credentials[otherSession], p.credentials[otherToken] = bearing(second, org), bearing(tokenOf(t, b, second, org), "")
			ticket := wantStep(t, signIn(t, b, object{"email": email, "organization": object{"code": org}}), "EMAIL_CODE")
			code := b.Mail.Last(t, email, 1).Code
			for credential, header := range p.credentials {
				for _, on := range []*graphtest.Server{b, other} {
					graphtest.Eventually(t, 30*time.Second, credential+" works at first", func() bool { return mayRead(t, on, header) })
				}
			}
			test.act(t, p)
			delete(p.credentials, "session that remembers")
			for credential, header := range p.credentials {
				ends := slices.Contains(test.ends, credential)
				if mayRead(t, b, header) == ends {
					t.Errorf("%s works: %t", credential, ends)
				}
				if ends {
					graphtest.Eventually(t, 30*time.Second, credential+" is refused elsewhere", func() bool { return !mayRead(t, other, header) })
				} else if !mayRead(t, other, header) {
					t.Errorf("%s does not work elsewhere", credential)
				}
			}
			a := continueSignIn(t, other, object{"ticket": ticket, "code": code})
			if (len(a.Errors) > 0) != slices.Contains(test.ends, underWay) {
				t.Errorf("the ticket is answered by %s", a.Body)
			}
			if a := continueSignIn(t, b, object{"ticket": ticket, "code": code}); len(a.Errors) == 0 {
				t.Errorf("the ticket works again: %s", a.Body)
			}
		})
	}
}

// sessionID returns the id of the session with that secret.
func sessionID(t testing.TB, b *graphtest.Server, secret string) string {
	t.Helper()
	return b.As(t, secret, `{ viewer { session { id } } }`, nil).Text("viewer.session.id")
}
