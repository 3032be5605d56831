package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// settings changes settings as the administrator; input is the part between braces.
func settings(t testing.TB, b *graphtest.Server, input string) {
	t.Helper()
	b.Ask(t, `mutation { updateSettings(input: {`+input+`}) { settings { allowSelfSignUp } } }`)
}

// numberOfUsers returns how many users there are, deleted ones among them.
func numberOfUsers(t testing.TB, b *graphtest.Server) int {
	t.Helper()
	return graphtest.Rows[int](t, b, "select count(*) from users")[0]
}

// door is a way in for somebody without an account. It returns the last answer, of those
// that another door has given before.
type door func(t *testing.T, b *graphtest.Server, email string) *graphtest.Answer

// begun is a sign-up that waits for its code.
type begun struct{ ticket, email string }

func begin(t testing.TB, b *graphtest.Server, input object) begun {
	t.Helper()
	email, _ := input["email"].(string)
	before := len(b.Mail.To(email))
	ticket := wantStep(t, signUp(t, b, input), "EMAIL_CODE")
	b.Mail.Last(t, email, before+1)
	return begun{ticket, email}
}

// finish shows the code of a sign-up, which is the last one that was mailed.
func (s begun) finish(t testing.TB, b *graphtest.Server) *graphtest.Answer {
	t.Helper()
	mails := b.Mail.To(s.email)
	return continueSignIn(t, b, object{"ticket": s.ticket, "code": mails[len(mails)-1].Code})
}

// No door makes a user while nobody may sign up; one of them does otherwise.
func TestDoorsOfSignUp(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	settings(t, b, "allowOrganizationSignUp: true")
	b.Ask(t, `mutation { createOrganization(input: {code: "open", name: "Open", allowSelfSignUp: true, autoJoinDomains: ["open.example"]}) { organization { id } } }`)
	early := map[string]begun{
		"begun before":                        begin(t, b, object{"email": "early@acme.example"}),
		"begun before, to an organization":    begin(t, b, object{"email": "early@open.example", "organization": object{"code": "open"}}),
		"begun before, with an organization":  begin(t, b, object{"email": "founder@acme.example", "createOrganization": "Founded"}),
		"begun before, with its organization": begin(t, b, object{"email": "late@acme.example", "createOrganization": "Late"}),
	}
	wrongCode := func(ticket string) object { return object{"ticket": ticket, "code": "00000000"} }
	doors := map[string]door{
		"sign-up": func(t *testing.T, b *graphtest.Server, email string) *graphtest.Answer {
			a := signUp(t, b, object{"email": email})
			if len(a.Errors) > 0 {
				return a
			}
			return continueSignIn(t, b, object{"ticket": a.Text("step.result.ticket"), "code": b.Mail.Last(t, email, 1).Code})
		},
		"sign-up to an organization": func(t *testing.T, b *graphtest.Server, email string) *graphtest.Answer {
			return signUp(t, b, object{"email": email, "organization": object{"code": "open"}})
		},
		"sign-up with an organization": func(t *testing.T, b *graphtest.Server, email string) *graphtest.Answer {
			return signUp(t, b, object{"email": email, "createOrganization": "Mine"})
		},
		"password": func(t *testing.T, b *graphtest.Server, email string) *graphtest.Answer {
			return signIn(t, b, object{"email": email, "password": password})
		},
		"code": func(t *testing.T, b *graphtest.Server, email string) *graphtest.Answer {
			return continueSignIn(t, b, wrongCode(wantStep(t, signIn(t, b, object{"email": email}), "EMAIL_CODE")))
		},
		"a made-up invitation": func(t *testing.T, b *graphtest.Server, _ string) *graphtest.Answer {
			return accept(t, b, "", object{"token": "ri_" + strings.Repeat("A", 64)})
		},
		"reset": func(t *testing.T, b *graphtest.Server, email string) *graphtest.Answer {
			return resetPassword(t, b, requestReset(t, b, email).Text("payload.step.ticket"), "00000000")
		},
	}
	for name, one := range early {
		doors[name] = func(t *testing.T, b *graphtest.Server, _ string) *graphtest.Answer { return one.finish(t, b) }
	}
	refusedAlways := map[string]string{"a made-up invitation": "INVALID", "password": "UNAUTHENTICATED", "code": "INVALID", "reset": "INVALID"}
	settings(t, b, "allowSelfSignUp: false")
	users := numberOfUsers(t, b)
	i := 0
	for name, enter := range doors {
		i++
		source := b.From(fmt.Sprint("198.51.100.", i))
		t.Run("closed, "+name, func(t *testing.T) {
			want := "INVITATION_ONLY"
			if code := refusedAlways[name]; code != "" {
				want = code
			}
			if a := enter(t, source, fmt.Sprintf("closed%d@open.example", i)); a.Codes() != want || a.Data != nil {
				t.Errorf("%s\nwant %s", a.Body, want)
			}
		})
	}
	if n := numberOfUsers(t, b); n != users {
		t.Errorf("%d users were made", n-users)
	}
	if n := graphtest.Rows[int](t, b, "select count(*) from organizations where name in ('Founded', 'Late', 'Mine')")[0]; n != 0 {
		t.Errorf("%d organizations were made", n)
	}

	settings(t, b, "allowSelfSignUp: true")
	known := signUp(t, b, object{"email": "known@acme.example"})
	wantSession(t, begun{wantStep(t, known, "EMAIL_CODE"), b.Mail.Last(t, "known@acme.example", 1).To}.finish(t, b))
	settings(t, b, "allowSelfSignUp: false")
	bodies := map[string]bool{}
	for _, email := range []string{"known@acme.example", "unknown@acme.example"} {
		bodies[steady(signUp(t, b, object{"email": email}))] = true
	}
	if len(bodies) != 1 {
		t.Errorf("a closed sign-up tells who is known: %v", bodies)
	}

	settings(t, b, "allowSelfSignUp: true")
	for name, code := range refusedAlways {
		t.Run("open, "+name, func(t *testing.T) {
			users := numberOfUsers(t, b)
			if a := doors[name](t, b.From("198.51.100.99"), "open-"+name+"@acme.example"); a.Codes() != code || numberOfUsers(t, b) != users {
				t.Errorf("%s\nwant %s", a.Body, code)
			}
		})
	}
	// The tickets of a refused end are still good, since nothing was done with them.
	wantSession(t, early["begun before"].finish(t, b))
	wantSession(t, early["begun before, to an organization"].finish(t, b))
	wantSession(t, early["begun before, with an organization"].finish(t, b))
	settings(t, b, "allowOrganizationSignUp: false")
	if a := early["begun before, with its organization"].finish(t, b); a.Codes() != "FORBIDDEN" {
		t.Errorf("an organization is made that may not be: %s", a.Body)
	}
	if a := signUp(t, b, object{"email": "new@acme.example", "createOrganization": "Mine"}); a.Codes() != "FORBIDDEN" {
		t.Errorf("%s", a.Body)
	}
}

// The organization that a person names at sign-up, and the domain of their address, lead to
// the organizations that they join, and the roles that they get there.
func TestOrganizationsOfSignUp(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, `mutation {
		p: createPermission(input: {key: "invoices:read"}) { permission { id } }
		a: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
		b: createRole(input: {key: "guest", isDefault: true}) { role { id } }
		open: createOrganization(input: {code: "open", name: "Open", allowSelfSignUp: true, defaultRoles: [{key: "clerk"}]}) { organization { id } }
		domain: createOrganization(input: {code: "domain", name: "Domain", autoJoinDomains: ["bücher.example", "plain.example"]}) { organization { id } }
		closed: createOrganization(input: {code: "closed", name: "Closed"}) { organization { id } }
		suspended: createOrganization(input: {code: "suspended", name: "Suspended", allowSelfSignUp: true, autoJoinDomains: ["suspended.example"]}) { organization { id } }
		s: suspendOrganization(input: {organization: {code: "suspended"}}) { organization { id } }
	}`)
	settings(t, b, "allowOrganizationSignUp: true")
	for _, test := range []struct {
		name, email, organization string
		joins                     string // with the keys of roles; empty for NOT_FOUND
	}{
		{"no organization", "a1@nowhere.example", "", "default guest"},
		{"self sign-up", "a2@nowhere.example", "open", "open clerk"},
		{"its domain", "a3@plain.example", "domain", "domain guest"},
		{"its domain, as typed by a machine", "a4@xn--bcher-kva.example", "domain", "domain guest"},
		{"its domain, in Unicode", "a5@bücher.example", "domain", "domain guest"},
		{"its domain, in capitals", "a6@BÜCHER.example", "domain", "domain guest"},
		{"its domain by itself", "a7@PLAIN.example", "", "domain guest"},
		{"both", "a8@plain.example", "open", "domain guest, open clerk"},
		{"a subdomain", "a9@sub.plain.example", "domain", ""},
		{"a subdomain by itself", "b1@sub.plain.example", "", "default guest"},
		{"a longer domain", "b2@notplain.example", "domain", ""},
		{"neither", "b3@nowhere.example", "closed", ""},
		{"unknown", "b4@nowhere.example", "unknown", ""},
		{"suspended", "b5@nowhere.example", "suspended", ""},
		{"suspended, its domain", "b6@suspended.example", "suspended", ""},
		{"suspended, by itself", "b7@suspended.example", "", "default guest"},
		{"the root", "b8@nowhere.example", "roster", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			input := object{"email": test.email}
			if test.organization != "" {
				input["organization"] = object{"code": test.organization}
			}
			a := signUp(t, b, input)
			if test.joins == "" {
				want := `{"errors":[{"message":"There is no such organization that you could join.","path":["step"],"extensions":{"code":"NOT_FOUND","field":"input.organization","requestId":"request-of-a-test"}}],"data":null`
				if got := steady(a); got != want {
					t.Errorf("%s\nwant %s", got, want)
				}
				return
			}
			ticket := wantStep(t, a, "EMAIL_CODE")
			a = continueSignIn(t, b, object{"ticket": ticket, "code": codeFor(t, b, test.email)})
			if test.organization == "" || a.Text("step.result.__typename") == "Session" {
				wantSession(t, a)
			}
			if got := membershipsOf(t, b, test.email); got != test.joins {
				t.Errorf("joins %s, want %s", got, test.joins)
			}
		})
	}
	t.Run("an organization of one's own", func(t *testing.T) {
		const email = "founder@plain.example"
		session := wantSession(t, begin(t, b, object{"email": email, "createOrganization": "Founder & Co"}).finish(t, b))
		a := b.As(t, session, `{ viewer { organization { id code name } permissions } }`, nil)
		code := a.Text("viewer.organization.code")
		if a.Text("viewer.organization.name") != "Founder & Co" || !slices.Contains(a.List("viewer.permissions"), any("roster:members:write")) {
			t.Errorf("%s", a.Body)
		}
		if got, want := membershipsOf(t, b, email), "domain guest, "+code+" guest roster-organization-administrator"; got != want {
			t.Errorf("joins %s, want %s", got, want)
		}
		invite := `mutation($o: String!) { grantRoles(input: {organization: {code: $o}, users: [{email: "founder@plain.example"}], roles: [{key: "guest"}]}) { memberships { id } } }`
		for _, org := range []string{code, "domain", "open", "closed"} {
			a := b.As(t, session, invite, object{"o": org})
			if done := len(a.Errors) == 0; done != (org == code) {
				t.Errorf("in %s: %s", org, a.Body)
			}
		}
	})
}

// codeFor waits for the mail to the address, in whatever form it was written, and returns
// its code.
func codeFor(t testing.TB, b *graphtest.Server, email string) string {
	t.Helper()
	kept := graphtest.Rows[string](t, b, "select email from flows where email like $1 order by created_at desc limit 1", strings.SplitN(email, "@", 2)[0]+"@%")
	if len(kept) == 0 {
		t.Fatalf("nothing waits for a code to %s", email)
	}
	return b.Mail.Last(t, kept[0], 1).Code
}

// membershipsOf returns the codes of the organizations of a user, each with the keys of the
// roles there.
func membershipsOf(t testing.TB, b *graphtest.Server, email string) string {
	t.Helper()
	a := b.Ask(t, `query($e: String!) { user(by: {email: $e}) { memberships(first: 100) { nodes { organization { code } roles { key } } } } }`, object{"e": email})
	var all []string
	for i, m := range a.List("user.memberships.nodes") {
		code, _ := graphtest.At(m, "organization.code").(string)
		keys := a.Texts(fmt.Sprintf("user.memberships.nodes.%d.roles", i), "key")
		slices.Sort(keys)
		all = append(all, strings.TrimSpace(code+" "+strings.Join(keys, " ")))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
