package graph_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/db"
	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// The mutations of signing in need more than an input: somebody who is signed in, or
// what an earlier step has made. The tests over the schema call them by a person.

// signedIn is somebody who calls mutations, and by whose account others sign in.
type signedIn struct {
	*graphtest.Server
	email string
	// session is the secret of the person's newest session. There is another one, so that
	// there is something to end.
	session string
}

// forgetAttempts makes the server forget how often something was tried, so that it does not
// limit attempts and mails.
func forgetAttempts(t *testing.T, b *graphtest.Server) {
	t.Helper()
	b.Execute(t, `create function forget_attempts() returns trigger language plpgsql as $$ begin new.number := 0; new.free_at := new.at; return new; end $$;
		create trigger forget_attempts before insert or update on attempts for each row execute function forget_attempts()`)
}

// newSignedIn returns the user with that address as somebody who is signed in, on a server
// that forgets attempts.
func newSignedIn(t *testing.T, b *graphtest.Server, email string) *signedIn {
	t.Helper()
	forgetAttempts(t, b)
	p := &signedIn{Server: b, email: email}
	p.signIn(t)
	return p
}

// signIn starts two sessions.
func (p *signedIn) signIn(t *testing.T) {
	t.Helper()
	p.SignedIn(t, p.email, "default")
	p.session = p.SignedIn(t, p.email, "default")
}

// ready makes what a call of the mutation needs, and returns the samples that name it. The
// person is signed in anew, since the call before may have ended the sessions.
func (p *signedIn) ready(t *testing.T, mutation string) map[string]string {
	t.Helper()
	p.signIn(t)
	p.Execute(t, "update users set email_verified = false where email = ?", p.email)
	switch mutation {
	case "continueSignIn":
		return p.mailed(t, "ContinueSignInInput", "", "signIn(input: $input) { step: result { ... on SignInStep { ticket } } }", "SignInInput")
	case "resetPassword":
		return p.mailed(t, "ResetPasswordInput", "", "requestPasswordReset(input: $input) { step { ticket } }", "RequestPasswordResetInput")
	case "confirmEmailChange":
		return p.mailed(t, "ConfirmEmailChangeInput", p.session, emailChange, "RequestEmailChangeInput")
	case "acceptInvitation":
		org := fmt.Sprintf("host%d", len(p.Mail.To(p.email)))
		p.Ask(t, `mutation($o: String!) { createOrganization(input: {code: $o, name: $o}) { organization { id } } }`, object{"o": org})
		_, token := invite(t, p.Server, p.Key, object{"email": p.email, "organization": object{"code": org}})
		return map[string]string{"AcceptInvitationInput.token": graphtest.Quote(token)}
	case "endSession":
		return map[string]string{"EndSessionInput.session": graphtest.Quote(p.sessionID(t))}
	case "unlinkIdentity":
		return map[string]string{"UnlinkIdentityInput.identity": graphtest.Quote(p.identity(t))}
	}
	return nil
}

const emailChange = "requestEmailChange(input: $input) { step { ticket } }"

// mailed begins something that mails a code to the person, and returns the ticket and the
// code as samples of the input.
func (p *signedIn) mailed(t *testing.T, input, key, begin, of string) map[string]string {
	t.Helper()
	p.waitForMails(t)
	before := len(p.Mail.To(p.email))
	a := p.As(t, key, "mutation($input: "+of+"!) { begun: "+begin+" }", object{"input": object{"email": p.email}})
	ticket := a.Text("begun.step.ticket")
	if ticket == "" {
		t.Fatalf("%s: %s", begin, a.Body)
	}
	return map[string]string{input + ".ticket": graphtest.Quote(ticket), input + ".code": graphtest.Quote(p.Mail.Code(t, p.email, before))}
}

// waitForMails waits until the mails of earlier calls are sent.
func (p *signedIn) waitForMails(t *testing.T) {
	t.Helper()
	graphtest.Eventually(t, 30*time.Second, "all mails are sent", func() bool { return graphtest.Rows[int](t, p.Server, "select count(*) from outbox")[0] == 0 })
}

// sessionID returns the id of a session of the person.
func (p *signedIn) sessionID(t *testing.T) string {
	t.Helper()
	return p.As(t, p.session, "{ viewer { session { id } } }", nil).Text("viewer.session.id")
}

// identity makes an identity of the person, and returns its id.
func (p *signedIn) identity(t *testing.T) string {
	t.Helper()
	return newIdentity(t, p.Server, p.email)
}

// newIdentity makes an identity of the user with that address or username, and returns its
// id.
func newIdentity(t *testing.T, b *graphtest.Server, name string) string {
	t.Helper()
	return graphtest.Rows[db.IdentityID](t, b, `insert into identities (provider, subject, user_id)
		select 'google', gen_random_uuid(), id from users where $1 in (email, username) returning id`, name)[0].String()
}

// ofRequest returns the statements without those that a request has only now and then: of
// the server, which sends mails at moments of its own, and to find whose key or session it is,
// when memory no longer counts.
func ofRequest(statements []string) []string {
	return slices.DeleteFunc(statements, func(text string) bool {
		return strings.Contains(text, "outbox") || strings.Contains(text, "k.hash = any($1)") || strings.Contains(text, "(s.user_id, s.id) in (select * from unnest($1")
	})
}

// carriesCredential reports whether the mutation carries a credential: it has no dry run.
func carriesCredential(f *ast.FieldDefinition) bool { return f.Directives.ForName("credential") != nil }

// operationOf returns how to begin a document with the field of Query or Mutation: one that
// leaves nothing, if possible.
func operationOf(owner string, f *ast.FieldDefinition) string {
	switch {
	case owner == "Query":
		return "query"
	case carriesCredential(f):
		return "mutation"
	}
	return "mutation @dryRun"
}

// However many sessions and organizations somebody has, what they read of themselves takes
// the same number of statements.
func TestStatementsOfOneselfDoNotGrow(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := graphtest.New(t, traced)
	b.Ask(t, graphtest.SmallBusiness)
	session := b.SignedIn(t, "ada@example.com", "acme")
	const query = `{ viewer { sessions { current user { name } organization { name } } organizations { name } } }`
	count := func() (least int, a *graphtest.Answer) {
		least = math.MaxInt
		for range 10 {
			graphtest.Eventually(t, 10*time.Second, "memory is trusted", func() bool { return b.Directory.Stats().Lag < 300*time.Millisecond })
			traced.Take()
			if a = b.As(t, session, query, nil); a.Codes() != "" {
				t.Fatalf("%s", a.Body)
			}
			least = min(least, len(ofRequest(traced.Take())))
		}
		return least, a
	}
	few, _ := count()
	b.Ask(t, graphtest.Document("mutation", 0, 20, func(i int) string {
		return fmt.Sprintf(`createOrganization(input: {code: "o%d", name: "O"}) { organization { id } }`, i)
	}))
	b.Ask(t, graphtest.Document("mutation", 0, 20, func(i int) string {
		return fmt.Sprintf(`addMembers(input: {organization: {code: "o%d"}, users: [{email: "ada@example.com"}]}) { memberships { id } }`, i)
	}))
	for i := range 20 {
		b.SignedIn(t, "ada@example.com", fmt.Sprintf("o%d", i))
	}
	many, a := count()
	if many != few || len(a.List("viewer.sessions")) != 21 || len(a.List("viewer.organizations")) != 22 {
		t.Errorf("%d statements, and %d for twenty times as much: %s", few, many, a.Body)
	}
}

// ownCases are the mutations that people call about themselves, and others that carry a
// credential, with the changes that they leave, each with the kind of its subject.
var ownCases = map[string][]string{
	"signUp": nil, "signIn": nil, "accessToken": nil, "requestPasswordReset": nil, "requestEmailChange": nil,
	"continueSignIn":        {"user.updated user"},
	"acceptInvitation":      {"user.updated user", "invitation.accepted invitation", "membership.created member"},
	"switchOrganization":    {"user.organization.switched user"},
	"signOut":               {"user.sessions.ended user"},
	"endSession":            {"user.sessions.ended user"},
	"resetPassword":         {"user.updated user", "user.password.changed user", "user.sessions.ended user"},
	"changePassword":        {"user.password.changed user", "user.sessions.ended user"},
	"setTemporaryPassword":  {"user.password.changed user", "user.sessions.ended user"},
	"updateViewer":          {"user.updated user"},
	"confirmEmailChange":    {"user.updated user"},
	"leaveOrganization":     {"membership.deleted member"},
	"unlinkIdentity":        {"user.identity.unlinked user"},
	"rollApplicationSecret": {"application.secret.rolled app"},
}

// Each mutation of one's own, rehearsed, leaves no trace; then it leaves exactly its changes
// in the log, by the person whom they concern, and no secret.
func TestOwnMutationsAndTheirChanges(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	c := newCaller(t, b)
	p := newSignedIn(t, b, "ada@example.com")
	for _, f := range ownFields(c.schema.Mutation) {
		want, known := ownCases[f.Name]
		if !known {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			c.others = p.ready(t, f.Name)
			key := p.session
			if requirement(f) != "" {
				key = b.Key
			}
			text := " { " + c.call("Mutation", f) + " }"
			if !carriesCredential(f) {
				p.waitForMails(t)
				before := b.State(t)
				if a := b.As(t, key, "mutation @dryRun"+text, nil); a.Codes() != "" {
					t.Errorf("rehearsed: %s", a.Body)
				}
				b.Unchanged(t, before)
			}
			seen := lastChange(t, b)
			if a := b.As(t, key, "mutation"+text, nil); a.Codes() != "" {
				t.Errorf("%s", a.Body)
			}
			var got []string
			for _, change := range changesAfter(t, b, seen) {
				kind, _, _ := strings.Cut(change.Subject, "_")
				got = append(got, change.Action+" "+kind)
			}
			if !slices.Equal(got, want) {
				t.Errorf("it leaves %q, want %q", got, want)
			}
		})
	}
	for _, secret := range []string{p.session[len("rs_")+43:], graphtest.Password} {
		if where := b.Search(t, secret); len(where) > 0 {
			t.Errorf("a secret is in %v", where)
		}
	}
}
