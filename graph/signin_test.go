package graph_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// The tests of this file sign people in as clients do.

// password is one that may be chosen.
const password = graphtest.Password

const stepFields = `{ secret result { __typename
	... on SignInStep { ticket next organizations { code } }
	... on Session { id organization { code } methods current user { email emailVerified } } } }`

func signUp(t testing.TB, b *graphtest.Server, input graphtest.Object) *graphtest.Answer {
	t.Helper()
	return b.As(t, "", "mutation($input: SignUpInput!) { step: signUp(input: $input) "+stepFields+" }", graphtest.Object{"input": input})
}

func signIn(t testing.TB, b *graphtest.Server, input graphtest.Object) *graphtest.Answer {
	t.Helper()
	return b.As(t, "", "mutation($input: SignInInput!) { step: signIn(input: $input) "+stepFields+" }", graphtest.Object{"input": input})
}

func continueSignIn(t testing.TB, b *graphtest.Server, input graphtest.Object) *graphtest.Answer {
	t.Helper()
	return b.As(t, "", "mutation($input: ContinueSignInInput!) { step: continueSignIn(input: $input) "+stepFields+" }", graphtest.Object{"input": input})
}

func requestReset(t testing.TB, b *graphtest.Server, email string) *graphtest.Answer {
	t.Helper()
	return b.As(t, "", `mutation($input: RequestPasswordResetInput!) { payload: requestPasswordReset(input: $input) { step { ticket next expiresAt organizations { code } } } }`,
		graphtest.Object{"input": graphtest.Object{"email": email}})
}

func resetPassword(t testing.TB, b *graphtest.Server, ticket, code string) *graphtest.Answer {
	t.Helper()
	return b.As(t, "", `mutation($input: ResetPasswordInput!) { resetPassword(input: $input) { accepted } }`,
		graphtest.Object{"input": graphtest.Object{"ticket": ticket, "code": code, "password": "another " + password}})
}

// A sign-up is told everything that is wrong with it.
func TestFaultsOfSignUp(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	settings(t, b, "allowOrganizationSignUp: true")
	for want, input := range map[string]graphtest.Object{
		"input.email input.givenName input.password":          {"email": "ada", "givenName": strings.Repeat("a", 10_000), "password": "short"},
		"input.email input.createOrganization input.password": {"email": "ada@", "createOrganization": "Acme", "organization": graphtest.Object{"code": "acme"}, "password": "short"},
		"input.organization input.password":                   {"email": "ada@acme.example", "organization": graphtest.Object{"code": "nowhere"}, "password": "ada@acme.example"},
		"input.email input.familyName input.organization":     {"email": "", "familyName": strings.Repeat("a", 10_000), "organization": graphtest.Object{"code": "nowhere"}},
	} {
		a := signUp(t, b, input)
		var fields []string
		for i := range a.Errors {
			fields = append(fields, a.Field(i))
		}
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("the faults are of %s, want %s: %s", got, want, a.Body)
		}
	}
}

// unsteadyParts are the parts of an answer that are different each time.
var unsteadyParts = regexp.MustCompile(`rt_[\w-]+|"\d{4}-\d\d-\d\dT[^"]+"|,"extensions":\{"revision".*`)

// steady returns the answer without the parts that are different each time: tickets,
// times, cost and revision.
func steady(a *graphtest.Answer) string { return unsteadyParts.ReplaceAllString(string(a.Body), "") }

// wantStep fails the test unless the answer is a step that needs next, and returns its ticket.
func wantStep(t testing.TB, a *graphtest.Answer, next string) string {
	t.Helper()
	if a.Text("step.result.next") != next || a.Text("step.result.ticket") == "" || a.At("step.secret") != nil {
		t.Fatalf("%s\nwant a step %s", a.Body, next)
	}
	return a.Text("step.result.ticket")
}

// wantSession fails the test unless the answer is a session, and returns its secret.
func wantSession(t testing.TB, a *graphtest.Answer) string {
	t.Helper()
	if a.Text("step.result.__typename") != "Session" || !strings.HasPrefix(a.Text("step.secret"), "rs_") || a.At("step.result.current") != true {
		t.Fatalf("%s\nwant a session", a.Body)
	}
	return a.Text("step.secret")
}

// person makes a person who has signed up with the address and the password, and returns
// the secret of their first session.
func person(t testing.TB, b *graphtest.Server, email string) string {
	t.Helper()
	ticket := wantStep(t, signUp(t, b, graphtest.Object{"email": email, "password": password, "givenName": "Ada"}), "EMAIL_CODE")
	return wantSession(t, continueSignIn(t, b, graphtest.Object{"ticket": ticket, "code": b.Mail.Last(t, email, 1).Code}))
}

// A person signs up, is let in, signs in again in every way, and out.
func TestSignUpAndIn(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	const email = "ada@acme.example"
	session := person(t, b, email)
	viewer := `{ viewer { user { email emailVerified signInCount } session { current device } organization { code } organizations { code } membership { roles { key } } permissions sessions { id } } }`
	a := b.As(t, session, viewer, nil)
	if a.Text("viewer.user.email") != email || a.At("viewer.user.emailVerified") != true || a.Text("viewer.organization.code") != "default" || len(a.List("viewer.sessions")) != 1 {
		t.Fatalf("%s", a.Body)
	}
	second := wantSession(t, signIn(t, b, graphtest.Object{"email": strings.ToUpper(email), "password": password}))
	if a := b.As(t, second, viewer, nil); len(a.List("viewer.sessions")) != 2 || a.At("viewer.user.signInCount") != float64(2) {
		t.Errorf("%s", a.Body)
	}
	ticket := wantStep(t, signIn(t, b, graphtest.Object{"email": email}), "EMAIL_CODE")
	code := b.Mail.Last(t, email, 2).Code
	third := wantSession(t, continueSignIn(t, b, graphtest.Object{"ticket": ticket, "code": " " + code[:4] + " " + code[4:]})) // as people type it
	if a := continueSignIn(t, b, graphtest.Object{"ticket": ticket, "code": b.Mail.Last(t, email, 2).Code}); a.Codes() != "INVALID" {
		t.Errorf("a ticket is taken twice: %s", a.Body)
	}
	if a := b.As(t, third, `mutation { signOut { endedSessions } }`, nil); a.At("signOut.endedSessions") != float64(1) {
		t.Errorf("%s", a.Body)
	}
	if a := b.As(t, third, viewer, nil); a.Status != http.StatusUnauthorized {
		t.Errorf("a session that was ended works: %s", a.Body)
	}
	if a := b.As(t, second, `mutation { signOut(input: {everywhere: true}) { endedSessions } }`, nil); a.At("signOut.endedSessions") != float64(2) {
		t.Errorf("%s", a.Body)
	}
	for _, ended := range []string{session, second} {
		if a := b.As(t, ended, viewer, nil); a.Status != http.StatusUnauthorized {
			t.Errorf("a session that was ended works: %s", a.Body)
		}
	}
	a = b.Ask(t, `{ signIns(first: 10) { totalCount nodes { method succeeded reason user { email } organization { code } } }
		user(by: {email: "`+email+`"}) { signIns { nodes { method } } sessions { totalCount } } }`)
	if a.At("signIns.totalCount") != float64(3) || strings.Join(a.Texts("user.signIns.nodes", "method"), " ") != "code password code" || a.At("user.sessions.totalCount") != float64(0) {
		t.Errorf("%s", a.Body)
	}
}

// A key that a person has made answers to the person: it stops with a suspension, works
// again with its end, and is revoked when the person is deleted.
func TestKeysOfPeople(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	const email = "ada@acme.example"
	session := person(t, b, email)
	b.Ask(t, `mutation { addMembers(input: {organization: {code: "roster"}, users: [{email: "`+email+`"}], roles: [{key: "roster-administrator"}]}) { memberships { id } } }`)
	a := b.As(t, session, `mutation { createApiKey(input: {name: "nightly", permissions: [{key: "roster:users:read"}]}) { secret apiKey { id responsible { ... on User { email } } createdBy { ... on User { email } } } } }`, nil)
	key, id := a.Text("createApiKey.secret"), a.Text("createApiKey.apiKey.id")
	if a.Text("createApiKey.apiKey.responsible.email") != email || a.Text("createApiKey.apiKey.createdBy.email") != email {
		t.Fatalf("%s", a.Body)
	}
	works := func(want bool) {
		t.Helper()
		if a := b.As(t, key, `{ users { totalCount } }`, nil); (a.Status == http.StatusOK && len(a.Errors) == 0) != want {
			t.Errorf("the key: %s", a.Body)
		}
	}
	works(true)
	if a := b.Ask(t, `mutation { suspendUser(input: {user: {email: "`+email+`"}}) { impact { keys { id } } } }`); strings.Join(a.Texts("suspendUser.impact.keys", "id"), " ") != id {
		t.Errorf("%s", a.Body)
	}
	works(false)
	b.Ask(t, `mutation { restoreUser(input: {user: {email: "`+email+`"}}) { user { id } } }`)
	works(true)
	b.Ask(t, `mutation { adoptApiKey(input: {apiKey: "`+id+`"}) { apiKey { responsible { __typename } } } }`)
	b.Ask(t, `mutation { deleteUser(input: {user: {email: "`+email+`"}}) { deletedIds } }`)
	works(true)
	left := graphtest.Rows[int](t, b, "select (select count(*) from sessions) + (select count(*) from passwords) + (select count(*) from identities) + (select count(*) from sign_ins) as n")
	if left[0] != 0 {
		t.Errorf("%d rows of the ways in of somebody who was deleted are left", left[0])
	}
}

// A browser keeps its session when signing out is only rehearsed, and loses it when it is
// done.
func TestRehearsedSignOut(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	session := person(t, b, "ada@acme.example")
	for _, operation := range []string{"mutation @dryRun", "mutation"} {
		cleared := operation == "mutation"
		header := graphtest.Headers(session)
		header.Set("Origin", graphtest.Issuer)
		a := b.Send(t, http.MethodPost, "/graphql", header, []byte(`{"query": "`+operation+` { signOut { endedSessions } }"}`))
		if got := a.Header.Get("Set-Cookie") != ""; got != cleared || a.At("signOut.endedSessions") != float64(1) {
			t.Errorf("%s: %s, %v", operation, a.Body, a.Header)
		}
	}
}

// What a session must not do at all is refused by its status.
func TestRefusedSessions(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	session := person(t, b, "ada@acme.example")
	b.Ask(t, `mutation { createOrganization(input: {name: "Other"}) { organization { id } } }`)
	for name, header := range map[string]http.Header{
		"an organization of others": {"Authorization": {"Bearer " + session}, "Roster-Organization": {"other"}},
		"an unknown organization":   {"Authorization": {"Bearer " + session}, "Roster-Organization": {"unknown"}},
		"the business":              {"Authorization": {"Bearer " + session}, "Roster-Organization": {"roster"}},
		"a page of another site":    {"Cookie": {"roster=" + session}, "Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}},
	} {
		t.Run(name, func(t *testing.T) {
			header.Set("Content-Type", "application/json")
			a := b.Send(t, http.MethodPost, "/graphql", header, []byte(`{"query": "{ viewer { user { id } } }"}`))
			if a.Status != http.StatusForbidden || a.Codes() != "FORBIDDEN" {
				t.Errorf("%d: %s", a.Status, a.Body)
			}
		})
	}
}
