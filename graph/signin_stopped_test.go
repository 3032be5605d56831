package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"roster/graph/graphtest"
)

// bearing returns the headers of a client that bears the credential and acts in the
// organization, unless its code is empty.
func bearing(credential, org string) http.Header {
	header := graphtest.Headers(credential)
	if org != "" {
		header.Set("Roster-Organization", org)
	}
	return header
}

// browsing is bearing for a browser that has the session as a cookie.
func browsing(session, org string) http.Header {
	header := bearing("", org)
	header.Set("Cookie", "roster="+session)
	header.Set("Origin", "http://example.com")
	return header
}

// mayRead reports whether the server lets the client read invoices.
func mayRead(t testing.TB, on *graphtest.Server, header http.Header) bool {
	t.Helper()
	body, err := json.Marshal(object{"query": `{ viewer { can(permission: "invoices:read") } }`})
	graphtest.Must(t, err)
	return on.Send(t, http.MethodPost, "/graphql", header, body).At("viewer.can") == true
}

// tokenOf returns an access token of the session for the organization.
func tokenOf(t testing.TB, b *graphtest.Server, session, org string) string {
	t.Helper()
	a := b.As(t, session, `mutation($o: String!) { accessToken(input: {organization: {code: $o}, audience: "`+graphtest.Issuer+`"}) { accessToken { token } } }`, object{"o": org})
	if a.Text("accessToken.accessToken.token") == "" {
		t.Fatalf("%s", a.Body)
	}
	return a.Text("accessToken.accessToken.token")
}

// newReader makes an organization, and a user who may read its invoices and belongs to the
// default one as well.
func newReader(t testing.TB, b *graphtest.Server, email, org string) {
	t.Helper()
	b.Ask(t, `mutation($e: String!, $o: String!) {
		o: createOrganization(input: {code: $o, name: $o}) { organization { id } }
		u: createUser(input: {email: $e, organizations: [{code: $o}, {code: "default"}]}) { user { id } }
		g: grantRoles(input: {organization: {code: $o}, users: [{email: $e}], roles: [{key: "clerk"}]}) { memberships { id } }
	}`, object{"e": email, "o": org})
}

const clerks = `mutation {
	p: createPermission(input: {key: "invoices:read"}) { permission { id } }
	r: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
}`

// Whoever is stopped can do nothing with what they have: neither with a credential nor with
// a sign-in under way. The server that stops them refuses at once, another one as soon as
// it hears of it. When they are restored, everything works again.
func TestStoppedPeople(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	other := b.Restarted(t)
	b.Ask(t, clerks)
	people := map[string]*reader{}
	i := 0
	for name := range graphtest.Stops {
		i++
		people[name] = newTicketed(t, b.From(fmt.Sprint("198.51.100.", i)), fmt.Sprintf("reader%d@acme.example", i), fmt.Sprintf("org%d", i))
	}
	settings(t, b, "allowCodeSignIn: false")
	for _, p := range people {
		p.tickets["PASSWORD"] = object{"ticket": wantStep(t, signIn(t, b, object{"email": p.email}), "PASSWORD"), "password": password}
	}
	settings(t, b, "allowCodeSignIn: true")
	for name, s := range graphtest.Stops {
		p := people[name]
		s = s.Of(p.email, p.org)
		t.Run(name, func(t *testing.T) {
			for credential, header := range p.credentials {
				for _, on := range []*graphtest.Server{b, other} {
					graphtest.Eventually(t, 30*time.Second, credential+" works at first", func() bool { return mayRead(t, on, header) })
				}
			}
			b.Ask(t, s.Ends)
			for credential, header := range p.credentials {
				if mayRead(t, b, header) {
					t.Errorf("%s works", credential)
				}
				graphtest.Eventually(t, 30*time.Second, credential+" is refused elsewhere", func() bool { return !mayRead(t, other, header) })
			}
			for step, input := range p.tickets {
				a := continueSignIn(t, other, input)
				session := a.Text("step.secret")
				if s.Everywhere && (session != "" || a.Data != nil) || session != "" && mayRead(t, other, bearing(session, p.org)) {
					t.Errorf("the ticket for %s lets in: %s", step, a.Body)
				}
			}
			if name == "user deleted" || name == "user offboarded" {
				if a := resetPassword(t, other, p.reset, p.resetCode); a.Codes() != "INVALID" {
					t.Errorf("a password is set: %s", a.Body)
				}
			}
			if s.Everywhere {
				if a := confirmEmail(t, b, p.session, p.change, p.changeCode); a.Codes() != "UNAUTHENTICATED" {
					t.Errorf("the address is changed: %s", a.Body)
				}
			}
			if s.Restores == "" {
				return
			}
			b.Ask(t, s.Restores)
			for credential, header := range p.credentials {
				for _, on := range []*graphtest.Server{b, other} {
					graphtest.Eventually(t, 30*time.Second, credential+" works again", func() bool { return mayRead(t, on, header) })
				}
			}
		})
	}
}

// reader is a user who may read the invoices of an organization, with all that can be held
// by somebody who signs in.
type reader struct {
	email, org, session                  string
	credentials                          map[string]http.Header
	tickets                              map[string]object // by what comes next
	reset, resetCode, change, changeCode string
}

func newHolder(t testing.TB, b *graphtest.Server, email, org string) *reader {
	t.Helper()
	newReader(t, b, email, org)
	p := &reader{email: email, org: org, session: b.SignedIn(t, email, org), tickets: map[string]object{}}
	p.credentials = map[string]http.Header{
		"session": bearing(p.session, org), "session in a cookie": browsing(p.session, org), "session that remembers": bearing(p.session, ""),
		"access token of the session": bearing(tokenOf(t, b, p.session, org), ""), "API key": bearing(b.StandingFor(t, email, org, "invoices:read"), ""),
	}
	return p
}

// newTicketed is newHolder with a ticket for each step but a password.
func newTicketed(t testing.TB, b *graphtest.Server, email, org string) *reader {
	t.Helper()
	p := newHolder(t, b, email, org)
	there := object{"email": email, "organization": object{"code": org}}
	byCode := func(n int, input object) object {
		ticket := wantStep(t, signIn(t, b, input), "EMAIL_CODE")
		return object{"ticket": ticket, "code": b.Mail.Last(t, email, n).Code}
	}
	p.tickets["EMAIL_CODE"] = byCode(1, there)
	p.tickets["ORGANIZATION"] = object{"ticket": wantStep(t, continueSignIn(t, b, byCode(2, object{"email": email})), "ORGANIZATION"), "organization": object{"code": org}}
	b.Execute(t, "update passwords set temporary = true where user_id = (select id from users where email = ?)", email)
	p.tickets["NEW_PASSWORD"] = object{"ticket": wantStep(t, signIn(t, b, object{"email": email, "password": password, "organization": object{"code": org}}), "NEW_PASSWORD"), "password": "new " + password}
	b.Execute(t, "update passwords set temporary = false where user_id = (select id from users where email = ?)", email)
	p.reset = requestReset(t, b, email).Text("payload.step.ticket")
	p.resetCode = b.Mail.Last(t, email, 3).Code
	p.change, p.changeCode = requestEmail(t, b, p.session, "new-"+email)
	return p
}

// requestEmail asks for another address, and returns the ticket and the code.
func requestEmail(t testing.TB, b *graphtest.Server, session, email string) (ticket, code string) {
	t.Helper()
	a := b.As(t, session, `mutation($input: RequestEmailChangeInput!) { payload: requestEmailChange(input: $input) { step { ticket next expiresAt organizations { code } } } }`, object{"input": object{"email": email}})
	if a.Text("payload.step.ticket") == "" {
		t.Fatalf("%s", a.Body)
	}
	return a.Text("payload.step.ticket"), b.Mail.Last(t, email, 1).Code
}

func confirmEmail(t testing.TB, b *graphtest.Server, session, ticket, code string) *graphtest.Answer {
	t.Helper()
	return b.As(t, session, `mutation($input: ConfirmEmailChangeInput!) { confirmEmailChange(input: $input) { user { email } } }`, object{"input": object{"ticket": ticket, "code": code}})
}
