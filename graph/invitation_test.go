package graph_test

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/db"
	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// tokenPattern matches what the link of an invitation has.
var tokenPattern = regexp.MustCompile(`/signin/invitation\?token=([\w%-]+)`)

// tokenIn returns the token of the link in the text.
func tokenIn(t testing.TB, text string) string {
	t.Helper()
	found := tokenPattern.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("there is no link: %s", text)
	}
	token, err := url.QueryUnescape(found[1])
	graphtest.Must(t, err)
	return token
}

// invite invites by the credential, and returns the id and the token of the invitation.
func invite(t testing.TB, b *graphtest.Server, key string, input object) (id, token string) {
	t.Helper()
	email, _ := input["email"].(string)
	before := len(b.Mail.To(email))
	a := b.As(t, key, `mutation($input: InviteInput!) { invite(input: $input) { link invitation { id } } }`, object{"input": input})
	if a.Text("invite.invitation.id") == "" {
		t.Fatalf("%s", a.Body)
	}
	if link := a.Text("invite.link"); link != "" {
		return a.Text("invite.invitation.id"), tokenIn(t, link)
	}
	return a.Text("invite.invitation.id"), tokenIn(t, linkMailed(t, b, email, before))
}

// linkMailed waits for a mail to the address that has a link, after the first n mails, and
// returns its text.
func linkMailed(t testing.TB, b *graphtest.Server, email string, n int) (text string) {
	t.Helper()
	graphtest.Eventually(t, 30*time.Second, "a link is mailed to "+email, func() bool {
		for _, one := range b.Mail.To(email)[n:] {
			if tokenPattern.MatchString(one.Text) {
				text = one.Text
			}
		}
		return text != ""
	})
	return text
}

// accept accepts an invitation on behalf of whoever has the credential, or nobody.
func accept(t testing.TB, b *graphtest.Server, key string, input object) *graphtest.Answer {
	t.Helper()
	return b.As(t, key, "mutation($input: AcceptInvitationInput!) { step: acceptInvitation(input: $input) "+stepFields+" }", object{"input": input})
}

// invitations is a business in which people are invited.
type invitations struct {
	*graphtest.Server
	orgs, accounts int
}

func newInvitations(t *testing.T) *invitations {
	t.Helper()
	b := &invitations{Server: graphtest.New(t)}
	b.Ask(t, `mutation {
		read: createPermission(input: {key: "invoices:read"}) { permission { id } }
		write: createPermission(input: {key: "invoices:write"}) { permission { id } }
		clerk: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
		guest: createRole(input: {key: "guest", isDefault: true}) { role { id } }
		host: createRole(input: {key: "host", permissions: [{key: "roster:members:write"}, {key: "roster:members:read"}]}) { role { id } }
	}`)
	forgetAttempts(t, b.Server)
	return b
}

// host is somebody who invites to their organization.
type host struct {
	org, email, session, key, keyID string
	// token is of a MACHINE, for which the key with makerID answers.
	token, machineID, makerID string
}

// inviters are the credentials of a host, by what they are.
var inviters = map[string]func(h host) string{
	"session": func(h host) string { return h.session },
	"key":     func(h host) string { return h.key },
	"machine": func(h host) string { return h.token },
}

// newHost makes an organization, and a person who manages its members and is a clerk there;
// they have a key, too, and a MACHINE.
func (b *invitations) newHost(t *testing.T) host {
	t.Helper()
	b.orgs++
	h := host{org: fmt.Sprintf("org%d", b.orgs), email: fmt.Sprintf("host%d@acme.example", b.orgs)}
	b.Ask(t, `mutation($o: String!, $e: String!) {
		createOrganization(input: {code: $o, name: $o}) { organization { id } }
		createUser(input: {email: $e, organizations: [{code: $o}, {code: "default"}], roles: []}) { user { id } }
		grantRoles(input: {organization: {code: $o}, users: [{email: $e}], roles: [{key: "host"}, {key: "clerk"}]}) { memberships { id } }
	}`, object{"o": h.org, "e": h.email})
	h.session = b.SignedIn(t, h.email, h.org)
	a := b.Ask(t, `mutation($o: String!) { createApiKey(input: {name: "host", organization: {code: $o}, permissions: [{key: "roster:members:write"}, {key: "invoices:read"}]}) { secret apiKey { id } } }`, object{"o": h.org})
	h.key, h.keyID = a.Text("createApiKey.secret"), a.Text("createApiKey.apiKey.id")
	maker := b.Holding(t, "", "roster:settings:write", "roster:members:write", "invoices:read")
	h.makerID = b.mustAs(t, maker, `{ viewer { apiKey { id } } }`, nil).Text("viewer.apiKey.id")
	a = b.mustAs(t, maker, `mutation($o: String!, $a: String!) { createApplication(input: {name: "host", kind: MACHINE, organization: {code: $o}, audiences: [$a], permissions: [{key: "roster:members:write"}, {key: "invoices:read"}]}) { clientSecret application { id } } }`, object{"o": h.org, "a": b.Issuer})
	h.machineID = a.Text("createApplication.application.id")
	h.token = b.MachineToken(t, h.machineID, a.Text("createApplication.clientSecret"))
	return h
}

// guest is somebody who accepts an invitation.
type guest struct {
	email string
	// key is the credential of whoever is signed in; empty for nobody.
	key string
}

// temporaryPassword is one that must be changed.
const temporaryPassword = "a temporary " + password

// guests make, by name, somebody with an address of their own, whom the organization invites.
var guests = map[string]func(t *testing.T, b *invitations, email, org string) guest{
	"new": func(_ *testing.T, _ *invitations, email, _ string) guest { return guest{email: email} },
	"new, while another is signed in": func(t *testing.T, b *invitations, email, _ string) guest {
		b.account(t, "x-"+email)
		return guest{email, b.SignedIn(t, "x-"+email, "default")}
	},
	"without a password": func(t *testing.T, b *invitations, email, _ string) guest {
		b.account(t, email)
		return guest{email: email}
	},
	"with a password": func(t *testing.T, b *invitations, email, _ string) guest {
		b.account(t, email)
		b.SignedIn(t, email, "default")
		return guest{email: email}
	},
	"with a temporary password": func(t *testing.T, b *invitations, email, _ string) guest {
		b.account(t, email)
		b.Ask(t, `mutation($e: String!, $p: String!) { setTemporaryPassword(input: {user: {email: $e}, password: $p}) { user { id } } }`, object{"e": email, "p": temporaryPassword})
		return guest{email: email}
	},
	"signed in": func(t *testing.T, b *invitations, email, _ string) guest {
		b.account(t, email)
		b.Execute(t, "update users set email_verified = true where email = ?", email)
		return guest{email, b.SignedIn(t, email, "default")}
	},
	"signed in, with an address that is not proven": func(t *testing.T, b *invitations, email, _ string) guest {
		b.account(t, email)
		return guest{email, b.SignedIn(t, email, "default")}
	},
	"signed in to another account": func(t *testing.T, b *invitations, email, _ string) guest {
		b.account(t, email)
		b.account(t, "x-"+email)
		return guest{email, b.SignedIn(t, "x-"+email, "default")}
	},
	"suspended": func(t *testing.T, b *invitations, email, _ string) guest {
		b.account(t, email)
		b.Ask(t, `mutation($e: String!) { suspendUser(input: {user: {email: $e}}) { user { id } } }`, object{"e": email})
		return guest{email: email}
	},
}

// lateGuests become what they are after they were invited.
var lateGuests = map[string]func(t *testing.T, b *invitations, email, org string) guest{
	"suspended as a member": func(t *testing.T, b *invitations, email, org string) guest {
		b.account(t, email)
		b.Ask(t, `mutation($e: String!, $o: String!) {
			addMembers(input: {organization: {code: $o}, users: [{email: $e}]}) { memberships { id } }
			suspendMember(input: {organization: {code: $o}, user: {email: $e}}) { membership { id } }
		}`, object{"e": email, "o": org})
		return guest{email: email}
	},
}

// account makes an account in the default organization.
func (b *invitations) account(t *testing.T, email string) {
	t.Helper()
	b.Ask(t, `mutation($e: String!) { createUser(input: {email: $e, organizations: [{code: "default"}], roles: []}) { user { id } } }`, object{"e": email})
}

// policies are settings that decide how people get in.
var policies = map[string]string{
	"open":              "allowSelfSignUp: true, allowCodeSignIn: true, allowPasswordSignIn: true",
	"by invitation":     "allowSelfSignUp: false, allowCodeSignIn: true, allowPasswordSignIn: true",
	"passwords only":    "allowSelfSignUp: false, allowCodeSignIn: false, allowPasswordSignIn: true",
	"codes only":        "allowSelfSignUp: true, allowCodeSignIn: true, allowPasswordSignIn: false",
	"passwords, anyone": "allowSelfSignUp: true, allowCodeSignIn: false, allowPasswordSignIn: true",
}

// wantedSteps returns what an open invitation leads to: the steps, and how they end.
func wantedSteps(who string, mailed, codes bool) (steps []string, end string) {
	switch who {
	case "signed in to another account", "new, while another is signed in":
		return nil, "FORBIDDEN"
	case "signed in":
		return nil, "SESSION"
	}
	if !mailed {
		steps = append(steps, "EMAIL_CODE")
	}
	stopped := strings.HasPrefix(who, "suspended") // which is told to whoever has shown all
	if !codes {
		switch who {
		case "new", "without a password", "suspended", "suspended as a member":
			steps = append(steps, "NEW_PASSWORD")
		case "with a temporary password":
			steps = append(steps, "PASSWORD", "NEW_PASSWORD")
		default:
			steps = append(steps, "PASSWORD")
		}
	}
	if stopped {
		return steps, "INVALID"
	}
	return steps, "SESSION"
}

// An open invitation leads each guest in, however it was delivered, by whatever the policy
// asks for, and whoever is not the one who is invited nowhere.
func TestInvitationsLeadIn(t *testing.T) {
	t.Parallel()
	b := newInvitations(t)
	h := b.newHost(t)
	everybody := map[string]bool{}
	for who := range guests {
		everybody[who] = false
	}
	for who := range lateGuests {
		everybody[who] = true
	}
	for policy, set := range policies {
		settings(t, b.Server, set)
		for who, late := range everybody {
			for _, mailed := range []bool{true, false} {
				b.accounts++
				by := slices.Sorted(maps.Keys(inviters))[b.accounts%len(inviters)]
				t.Run(fmt.Sprintf("%s, %s, mailed %t, by a %s", policy, who, mailed, by), func(t *testing.T) {
					email := fmt.Sprintf("guest%d@acme.example", b.accounts)
					var g guest
					if !late {
						g = guests[who](t, b, email, h.org)
					}
					_, token := invite(t, b.Server, inviters[by](h), object{"email": email, "organization": object{"code": h.org}, "roles": graphtest.Refs("key", "clerk"), "givenName": "Gi", "sendEmail": mailed})
					if late {
						g = lateGuests[who](t, b, email, h.org)
					}
					b.walk(t, h, g, who, token, mailed, !strings.HasPrefix(policy, "passwords"))
				})
			}
		}
	}
}

// walk takes the steps of the guest, and compares them with those that are wanted.
func (b *invitations) walk(t *testing.T, h host, g guest, who, token string, mailed, codes bool) {
	t.Helper()
	before := len(b.Mail.To(g.email))
	known := b.has(t, g.email)
	a := accept(t, b.Server, g.key, object{"token": token})
	steps, end := wantedSteps(who, mailed, codes)
	shown := ""
	for _, step := range steps {
		ticket := wantStep(t, a, step)
		if !known && b.has(t, g.email) {
			t.Error("there is an account before its address is proven")
		}
		input := object{"ticket": ticket}
		switch step {
		case "EMAIL_CODE":
			input["code"] = b.Mail.Last(t, g.email, before+1).Code
		case "PASSWORD":
			shown = password
			if who == "with a temporary password" {
				shown = temporaryPassword
			}
			input["password"] = shown
		case "NEW_PASSWORD":
			input["password"] = "new " + password
		}
		a = b.As(t, g.key, "mutation($input: ContinueSignInInput!) { step: continueSignIn(input: $input) "+stepFields+" }", object{"input": input})
	}
	if end != "SESSION" {
		if a.Codes() != end || membershipsOf(t, b.Server, g.email) != "" && strings.Contains(membershipsOf(t, b.Server, g.email), "clerk") {
			t.Errorf("%s\nwant %s", a.Body, end)
		}
		return
	}
	if a.Text("step.result.__typename") != "Session" || a.Text("step.result.organization.code") != h.org {
		t.Fatalf("%s\nwant a session in %s", a.Body, h.org)
	}
	if joined := membershipsOf(t, b.Server, g.email); !strings.Contains(joined, h.org+" clerk") || known != strings.Contains(joined, "default") {
		t.Errorf("joins %s", joined)
	}
	user := b.Ask(t, `query($e: String!) { user(by: {email: $e}) { givenName emailVerified } }`, object{"e": g.email})
	if user.At("user.emailVerified") != true || (user.Text("user.givenName") == "Gi") == known {
		t.Errorf("%s", user.Body)
	}
	if a := accept(t, b.Server, "", object{"token": token}); a.Codes() != "INVALID" {
		t.Errorf("it is accepted twice: %s", a.Body)
	}
}

// has reports whether there is an account with the address.
func (b *invitations) has(t *testing.T, email string) bool {
	t.Helper()
	return graphtest.Rows[bool](t, b.Server, "select exists (select from users where email = $1)", email)[0]
}

// voids make an invitation void that the host has made: an id, and by which of their
// inviters.
var voids = map[string]struct {
	by string
	do func(t *testing.T, b *invitations, h host, id, email string)
}{
	"revoked": {"session", func(t *testing.T, b *invitations, h host, id, _ string) {
		b.mustAs(t, h.session, `mutation($i: ID!) { revokeInvitation(input: {invitation: $i}) { invitation { status } } }`, object{"i": id})
	}},
	"resent": {"session", func(t *testing.T, b *invitations, h host, id, _ string) {
		b.mustAs(t, h.session, `mutation($i: ID!) { resendInvitation(input: {invitation: $i}) { link } }`, object{"i": id})
	}},
	"replaced": {"session", func(t *testing.T, b *invitations, h host, _, email string) {
		invite(t, b.Server, h.session, object{"email": strings.ToUpper(email), "organization": object{"code": h.org}, "sendEmail": false})
	}},
	"expired": {"session", func(t *testing.T, b *invitations, _ host, id, _ string) {
		invitation, err := db.ParseID[db.InvitationKind](id)
		graphtest.Must(t, err)
		b.Execute(t, "update invitations set expires_at = now() where id = ?", invitation)
	}},
	"organization suspended": {"session", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($o: String!) { suspendOrganization(input: {organization: {code: $o}}) { organization { id } } }`, object{"o": h.org})
	}},
	"organization deleted": {"session", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($o: String!) { deleteOrganization(input: {organization: {code: $o}}) { deletedIds } }`, object{"o": h.org})
	}},
	"host suspended": {"session", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($e: String!) { suspendUser(input: {user: {email: $e}}) { user { id } } }`, object{"e": h.email})
	}},
	"host deleted": {"session", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($e: String!) { deleteUser(input: {user: {email: $e}}) { deletedIds } }`, object{"e": h.email})
	}},
	"host removed": {"session", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($e: String!, $o: String!) { removeMembers(input: {organization: {code: $o}, users: [{email: $e}]}) { deletedIds } }`, object{"e": h.email, "o": h.org})
	}},
	"host suspended as a member": {"session", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($e: String!, $o: String!) { suspendMember(input: {organization: {code: $o}, user: {email: $e}}) { membership { id } } }`, object{"e": h.email, "o": h.org})
	}},
	"host no longer manages members": {"session", func(t *testing.T, b *invitations, h host, _, _ string) { b.revoke(t, h, "host") }},
	"host no longer holds the role":  {"session", func(t *testing.T, b *invitations, h host, _, _ string) { b.revoke(t, h, "clerk") }},
	"the host's grants have ended": {"session", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Execute(t, "update membership_roles set starts_at = now() - interval '2 hours', granted_at = now() - interval '2 hours', ends_at = now() - interval '1 hour' where user_id = (select id from users where email = ?)", h.email)
	}},
	"the host's grants end": {"session", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Execute(t, "update membership_roles set ends_at = now() + interval '1 hour' where user_id = (select id from users where email = ?)", h.email)
	}},
	"key revoked": {"key", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($i: ID!) { revokeApiKey(input: {apiKey: $i}) { apiKey { id } } }`, object{"i": h.keyID})
	}},
	"key expired": {"key", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Execute(t, "update api_keys set expires_at = now() where name = 'host' and org_id = (select id from organizations where code = ?)", h.org)
	}},
	"the role grows": {"key", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation { addRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:write"}]}) { role { id } } }`)
	}},
	"machine deleted": {"machine", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($a: ID!) { deleteApplication(input: {application: $a}) { deletedIds } }`, object{"a": h.machineID})
	}},
	"machine no longer manages members": {"machine", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($a: ID!) { updateApplication(input: {application: $a, permissions: [{key: "invoices:read"}]}) { application { id } } }`, object{"a": h.machineID})
	}},
	"machine no longer holds what the role contains": {"machine", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($a: ID!) { updateApplication(input: {application: $a, permissions: [{key: "roster:members:write"}]}) { application { id } } }`, object{"a": h.machineID})
	}},
	"machine acts elsewhere": {"machine", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($a: ID!) { updateApplication(input: {application: $a, organization: {code: "default"}}) { application { id } } }`, object{"a": h.machineID})
	}},
	"the key that answers for the machine revoked": {"machine", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation($i: ID!) { revokeApiKey(input: {apiKey: $i}) { apiKey { id } } }`, object{"i": h.makerID})
	}},
	"the key that answers for the machine expired": {"machine", func(t *testing.T, b *invitations, h host, _, _ string) {
		maker, err := db.ParseID[db.APIKeyKind](h.makerID)
		graphtest.Must(t, err)
		b.Execute(t, "update api_keys set expires_at = now() where id = ?", maker)
	}},
	"the role grows beyond the machine": {"machine", func(t *testing.T, b *invitations, h host, _, _ string) {
		b.Ask(t, `mutation { addRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:write"}]}) { role { id } } }`)
	}},
}

func (b *invitations) mustAs(t *testing.T, key, document string, variables object) *graphtest.Answer {
	t.Helper()
	a := b.As(t, key, document, variables)
	if a.Codes() != "" {
		t.Fatalf("%s", a.Body)
	}
	return a
}

// revoke takes the role from the host.
func (b *invitations) revoke(t *testing.T, h host, role string) {
	t.Helper()
	b.Ask(t, `mutation($e: String!, $o: String!, $r: String!) { revokeRoles(input: {organization: {code: $o}, users: [{email: $e}], roles: [{key: $r}]}) { memberships { id } } }`, object{"e": h.email, "o": h.org, "r": role})
}

// A guest gets the roles that the invitation names, as far as they are there, and the default ones
// only if it names none of its own.
func TestRolesOfInvitations(t *testing.T) {
	t.Parallel()
	b := newInvitations(t)
	h := b.newHost(t)
	b.Ask(t, `mutation { createRole(input: {key: "gone"}) { role { id } } }`)
	cases := map[string]struct {
		roles any
		want  string
		token string
	}{
		"left out": {nil, "guest", ""}, "none": {[]object{}, "", ""}, "one": {graphtest.Refs("key", "clerk"), "clerk", ""},
		"one that is gone": {graphtest.Refs("key", "gone"), "", ""}, "one of two": {graphtest.Refs("key", "gone", "clerk"), "clerk", ""},
	}
	email := func(name string) string { return strings.ReplaceAll(name, " ", "-") + "@acme.example" }
	for name, c := range cases {
		_, c.token = invite(t, b.Server, b.Key, object{"email": email(name), "organization": object{"code": h.org}, "roles": c.roles})
		cases[name] = c
	}
	b.Ask(t, `mutation { deleteRole(input: {role: {key: "gone"}}) { deletedIds } }`)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if a := accept(t, b.Server, "", object{"token": c.token}); a.Codes() != "" {
				t.Fatalf("%s", a.Body)
			}
			var roles []string
			for _, role := range b.Ask(t, `query($e: String!, $o: String!) { user(by: {email: $e}) { membership(organization: {code: $o}) { roles { key } } } }`, object{"e": email(name), "o": h.org}).List("user.membership.roles") {
				roles = append(roles, fmt.Sprint(graphtest.At(role, "key")))
			}
			if got := strings.Join(roles, " "); got != c.want {
				t.Errorf("the guest has the roles %q, want %q", got, c.want)
			}
		})
	}
}

// An invitation that is void lets nobody in, whoever they are and however it was delivered,
// and whoever shows it gets the same answer as for a token that was made up; also in the
// middle of accepting it.
func TestVoidInvitations(t *testing.T) {
	t.Parallel()
	b := newInvitations(t)
	unknown := steady(accept(t, b.Server, "", object{"token": "ri_" + strings.Repeat("A", 64)}))
	if !strings.Contains(unknown, `"code":"INVALID","field":"input.token"`) {
		t.Errorf("%s", unknown)
	}
	kinds := map[string]guest{}
	for who, make := range guests {
		b.accounts++
		kinds[who] = make(t, b, fmt.Sprintf("void%d@acme.example", b.accounts), "")
	}
	for i, name := range slices.Sorted(maps.Keys(voids)) {
		void := voids[name]
		for _, mailed := range []bool{true, false} {
			if !*isLong && mailed == (i%2 == 0) { // each reason is tried in one of the ways
				continue
			}
			t.Run(fmt.Sprintf("%s, mailed %t", name, mailed), func(t *testing.T) {
				h := b.newHost(t)
				key := inviters[void.by](h)
				tokens, last := map[string]string{}, ""
				for who, g := range kinds {
					last, tokens[who] = invite(t, b.Server, key, object{"email": g.email, "organization": object{"code": h.org}, "roles": graphtest.Refs("key", "clerk"), "sendEmail": mailed})
					if name == "revoked" || name == "resent" || name == "replaced" || name == "expired" {
						void.do(t, b, h, last, g.email)
					}
				}
				const late = "late@acme.example"
				id, lateToken := invite(t, b.Server, key, object{"email": late, "organization": object{"code": h.org}, "roles": graphtest.Refs("key", "clerk"), "sendEmail": false})
				before := len(b.Mail.To(late))
				ticket := wantStep(t, accept(t, b.Server, "", object{"token": lateToken}), "EMAIL_CODE")
				code := b.Mail.Last(t, late, before+1).Code
				void.do(t, b, h, id, late)
				if a := continueSignIn(t, b.Server, object{"ticket": ticket, "code": code}); a.Codes() != "INVALID" || a.Field(0) != "input.token" || b.has(t, late) {
					t.Errorf("what was begun before ends with %s", a.Body)
				}
				defer b.Ask(t, `mutation { removeRolePermissions(input: {role: {key: "clerk"}, permissions: [{key: "invoices:write"}]}) { role { id } } }`)
				for who, g := range kinds {
					a := accept(t, b.Server, g.key, object{"token": tokens[who], "password": password})
					if got := strings.ReplaceAll(steady(a), `"acceptInvitation"`, `"step"`); got != unknown {
						t.Errorf("%s is answered\n%s\nwant\n%s", who, got, unknown)
					}
				}
			})
		}
	}
}

// A time that has passed by the clock of the server ends an invitation, and its list says so;
// sent again, it works for another week.
func TestInvitationsExpire(t *testing.T) {
	t.Parallel()
	b := newInvitations(t)
	h := b.newHost(t)
	b.Clock.Stop()
	statuses := func() string {
		return strings.Join(b.Ask(t, `{ invitations { nodes { status } } }`).Texts("invitations.nodes", "status"), " ")
	}
	ends := b.Clock.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)
	input := object{"email": "late@acme.example", "organization": object{"code": h.org}, "expiresAt": ends}
	id, token := invite(t, b.Server, b.Key, input)
	b.Clock.Advance(time.Hour - time.Microsecond)
	if got := statuses(); got != "PENDING" {
		t.Error(got)
	}
	b.Clock.Advance(time.Microsecond)
	if got := statuses(); got != "EXPIRED" {
		t.Error(got)
	}
	for _, status := range []string{"PENDING", "EXPIRED", "ACCEPTED", "REVOKED"} {
		if a := b.Ask(t, `query($s: InvitationStatus!) { invitations(status: $s) { totalCount } }`, object{"s": status}); (a.At("invitations.totalCount") == float64(1)) != (status == "EXPIRED") {
			t.Errorf("%s: %s", status, a.Body)
		}
	}
	if a := accept(t, b.Server, "", object{"token": token}); a.Codes() != "INVALID" {
		t.Errorf("%s", a.Body)
	}
	before := len(b.Mail.To("late@acme.example"))
	b.mustAs(t, b.Key, `mutation($i: ID!) { resendInvitation(input: {invitation: $i}) { link } }`, object{"i": id})
	again := tokenIn(t, b.Mail.Last(t, "late@acme.example", before+1).Text)
	b.Clock.Advance(7*24*time.Hour - time.Microsecond)
	if a := accept(t, b.Server, "", object{"token": token}); a.Codes() != "INVALID" {
		t.Errorf("the old link works: %s", a.Body)
	}
	wantSession(t, accept(t, b.Server, "", object{"token": again, "givenName": "Eve", "familyName": "Adams", "password": password}))
	if a := b.Ask(t, `{ user(by: {email: "late@acme.example"}) { name } }`); a.Text("user.name") != "Eve Adams" {
		t.Errorf("%s", a.Body)
	}
	wantSession(t, signIn(t, b.Server, object{"email": "late@acme.example", "password": password, "organization": object{"code": h.org}}))
	if got := statuses(); got != "ACCEPTED" {
		t.Error(got)
	}
}

// What invite refuses.
func TestInvitationsAreRefused(t *testing.T) {
	t.Parallel()
	b := newInvitations(t)
	h, other := b.newHost(t), b.newHost(t)
	far := time.Now().Add(91 * 24 * time.Hour).UTC().Format(time.RFC3339)
	for _, test := range []struct {
		name, key string
		input     object
		want      string
	}{
		{"a member", h.session, object{"email": strings.ToUpper(h.email)}, "CONFLICT input.email"},
		{"no address", h.session, object{"email": "no address"}, "INVALID input.email"},
		{"too long", h.session, object{"email": "a@acme.example", "expiresAt": far}, "INVALID input.expiresAt"},
		{"past", h.session, object{"email": "a@acme.example", "expiresAt": "2020-01-01T00:00:00Z"}, "INVALID input.expiresAt"},
		{"a role that one does not hold", h.session, object{"email": "a@acme.example", "roles": graphtest.Refs("key", "roster-administrator")}, "ESCALATION "},
		{"no role", h.session, object{"email": "a@acme.example", "roles": graphtest.Refs("key", "none")}, "NOT_FOUND input.roles.0"},
		{"another organization", h.session, object{"email": "a@acme.example", "organization": object{"code": other.org}}, "NOT_FOUND input.organization"},
		{"the default one", h.session, object{"email": "a@acme.example", "organization": nil}, "NOT_FOUND input.organization"},
		{"the root", b.Key, object{"email": "a@acme.example", "organization": object{"code": "roster"}}, "NOT_FOUND input.organization"},
		{"a key of another organization", other.key, object{"email": "a@acme.example"}, "NOT_FOUND input.organization"},
		{"somebody who may not", b.Holding(t, "", "roster:members:read"), object{"email": "a@acme.example"}, "FORBIDDEN "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, named := test.input["organization"]; !named {
				test.input["organization"] = object{"code": h.org}
			}
			a := b.As(t, test.key, `mutation($input: InviteInput!) { invite(input: $input) { invitation { id } } }`, object{"input": test.input})
			if len(a.Errors) != 1 || a.Code(0)+" "+a.Field(0) != test.want {
				t.Errorf("%s\nwant %s", a.Body, test.want)
			}
		})
	}
	t.Run("after it was accepted", func(t *testing.T) {
		id, token := invite(t, b.Server, h.session, object{"email": "done@acme.example", "organization": object{"code": h.org}})
		wantSession(t, accept(t, b.Server, "", object{"token": token}))
		for _, mutation := range []string{"resendInvitation", "revokeInvitation"} {
			if a := b.As(t, h.session, `mutation($i: ID!) { `+mutation+`(input: {invitation: $i}) { link } }`, object{"i": id}); a.Codes() != "INVALID" {
				t.Errorf("%s", a.Body)
			}
		}
	})
	t.Run("sent again by somebody else, after its host has gone", func(t *testing.T) {
		id, _ := invite(t, b.Server, other.session, object{"email": "again@acme.example", "organization": object{"code": other.org}})
		b.revoke(t, other, "host")
		if a := b.As(t, b.Key, `mutation($i: ID!) { resendInvitation(input: {invitation: $i}) { link } }`, object{"i": id}); a.Codes() != "INVALID" {
			t.Errorf("%s", a.Body)
		}
	})
}

// Of any number who accept one invitation at the same moment, one does; of any number who
// invite the same address, one invitation is left.
func TestInvitationRaces(t *testing.T) {
	t.Parallel()
	b := newInvitations(t)
	servers := []*graphtest.Server{b.Server, b.Restarted(t)}
	h := b.newHost(t)
	const email = "racer@acme.example"
	input := object{"email": email, "organization": object{"code": h.org}, "roles": graphtest.Refs("key", "clerk"), "sendEmail": false}
	won := raceOn(t, 20, servers, func(on *graphtest.Server) *graphtest.Answer {
		return on.As(t, h.key, `mutation($input: InviteInput!) { invite(input: $input) { link } }`, object{"input": input})
	})
	if n := graphtest.Rows[int](t, b.Server, "select count(*) from invitations where live")[0]; won < 1 || n != 1 {
		t.Errorf("%d were made, %d are left", won, n)
	}
	delete(input, "sendEmail")
	_, token := invite(t, b.Server, h.key, input)
	won = raceOn(t, 50, servers, func(on *graphtest.Server) *graphtest.Answer { return accept(t, on, "", object{"token": token}) })
	users := graphtest.Rows[int](t, b.Server, "select count(*) from users where email = $1", email)[0]
	sessions := graphtest.Rows[int](t, b.Server, "select count(*) from sessions where user_id in (select id from users where email = $1)", email)[0]
	grants := graphtest.Rows[int](t, b.Server, "select count(*) from membership_roles where user_id in (select id from users where email = $1)", email)[0]
	if won != 1 || users != 1 || sessions != 1 || grants != 1 {
		t.Errorf("%d win; %d users, %d sessions, %d grants", won, users, sessions, grants)
	}
}

// Bad tokens of every kind take the same statements, and are answered alike.
func TestBadTokensAreAlike(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := &invitations{Server: graphtest.New(t, traced)}
	forgetAttempts(t, b.Server)
	tokens := map[string]string{"unknown": "ri_" + strings.Repeat("A", 64), "malformed": "x", "empty": "", "a ticket": samples["ticket"]}
	_, tokens["of another address"] = invite(t, b.Server, b.Key, object{"email": "a@acme.example", "sendEmail": false})
	b.Execute(t, "update invitations set email = 'b@acme.example'")
	id, revoked := invite(t, b.Server, b.Key, object{"email": "c@acme.example", "sendEmail": false})
	b.mustAs(t, b.Key, `mutation($i: ID!) { revokeInvitation(input: {invitation: $i}) { invitation { id } } }`, object{"i": id})
	_, expired := invite(t, b.Server, b.Key, object{"email": "d@acme.example", "sendEmail": false})
	b.Execute(t, "update invitations set expires_at = now() where email = 'd@acme.example'")
	_, used := invite(t, b.Server, b.Key, object{"email": "e@acme.example"})
	wantSession(t, accept(t, b.Server, "", object{"token": used}))
	tokens["revoked"], tokens["expired"], tokens["used"] = revoked, expired, used
	tokens["with another secret"] = expired[:40] + strings.Repeat("A", len(expired)-40)
	var wantBody string
	var want []string
	for _, name := range append([]string{"unknown"}, slices.Sorted(maps.Keys(tokens))...) {
		t.Run(name, func(t *testing.T) {
			var got []string
			for range 4 { // now and then a server reads what has changed of the catalogue
				var a *graphtest.Answer
				a, got = asked(b.Server, traced, func() *graphtest.Answer { return accept(t, b.Server, "", object{"token": tokens[name]}) })
				if wantBody == "" {
					wantBody, want = steady(a), got
				}
				if steady(a) != wantBody {
					t.Fatalf("%s\nwant %s", steady(a), wantBody)
				}
				if slices.Equal(got, want) {
					return
				}
			}
			t.Errorf("the statements are %q, want %q", got, want)
		})
	}
}

// No secret of an invitation is in the database, and no address in the log of changes;
// whoever is deleted takes along the invitations of their address.
func TestInvitationsKeepSecrets(t *testing.T) {
	t.Parallel()
	b := newInvitations(t)
	h := b.newHost(t)
	const email = "secret@acme.example"
	_, link := invite(t, b.Server, h.key, object{"email": "by-link@acme.example", "organization": object{"code": h.org}, "sendEmail": false})
	_, mailed := invite(t, b.Server, h.key, object{"email": email, "organization": object{"code": h.org}, "givenName": "Peculiar"})
	accept(t, b.Server, "", object{"token": link})
	for _, token := range []string{link, mailed} {
		if where := b.Search(t, token[30:]); len(where) > 0 {
			t.Errorf("a token is in %v", where)
		}
	}
	if n := graphtest.Rows[int](t, b.Server, "select count(*) from changes where action like 'invitation%' and (coalesce(before::text, '') || coalesce(after::text, '')) ~ 'acme.example|Peculiar'")[0]; n > 0 {
		t.Errorf("%d changes have the address", n)
	}
	wantSession(t, accept(t, b.Server, "", object{"token": mailed}))
	invite(t, b.Server, b.Key, object{"email": email, "organization": object{"code": b.newHost(t).org}})
	b.Ask(t, `mutation($e: String!) { deleteUser(input: {user: {email: $e}}) { deletedIds } }`, object{"e": email})
	graphtest.Eventually(t, 30*time.Second, "all mails are sent", func() bool { return graphtest.Rows[int](t, b.Server, "select count(*) from outbox")[0] == 0 })
	for _, trace := range []string{email, "Peculiar"} {
		if where := b.Search(t, trace); len(where) > 0 {
			t.Errorf("%s is in %v", trace, where)
		}
	}
}
