package directory_test

import (
	"context"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
	"roster/directory"
)

// namesake asks for the user and organization that have the names at the moment.
type namesake struct {
	*business
	traced *dbtest.Statements
}

func (n namesake) can(ctx context.Context, d *directory.Directory, user, organization string) bool {
	n.t.Helper()
	return must(d.Can(ctx, directory.UserRef{Username: &user}, directory.OrganizationRef{Code: &organization}, "thing:do"))(n.t)
}

// least returns how few statements that takes, asked again and again.
func (n namesake) least(ctx context.Context, d *directory.Directory, user, organization string) int {
	n.t.Helper()
	least := 1000
	for tries := 0; tries < 100 && least > 0; tries++ {
		n.traced.Take()
		n.can(ctx, d, user, organization)
		least = min(least, len(n.traced.Take()))
		time.Sleep(time.Millisecond) // the cache takes new entries when it likes
	}
	return least
}

// Names that were asked for are known without the database, and mean the user or
// organization that has them now: at once on the server that took the change, on
// others with its revision.
func TestNamesInMemory(t *testing.T) {
	t.Parallel()
	n := namesake{traced: &dbtest.Statements{}}
	n.business = newBusiness(t, n.traced)
	must(0, n.Follow(t.Context()))(t)
	far := n.server()
	must(0, far.Follow(t.Context()))(t)
	n.definePermissions("thing:do")
	n.role("clerk", permissionRefs("thing:do")...)
	n.user("ada", n.organization("acme"))
	n.user("bob", n.organization("other"))
	var last db.Revision
	ctx := changes.WithCommitted(n.ctx, &last)
	rename := func(from, to string) error {
		_, err := n.UpdateUser(ctx, directory.UpdateUserInput{User: directory.UserRef{Username: &from}, Username: graphql.OmittableOf(&to)})
		return err
	}
	join := func(user string) error {
		_, err := n.AddMembers(ctx, directory.AddMembersInput{
			Organization: directory.OrganizationRef{Code: new("acme")}, Users: []*directory.UserRef{{Username: &user}}, Roles: roleRefs("clerk"),
		})
		return err
	}
	for _, step := range []struct {
		name   string
		change func() error
		can    bool
	}{
		{"she is granted it", func() error { return n.grantRole("ada", "acme", "clerk") }, true},
		{"her name is free", func() error { return rename("ada", "adele") }, false},
		{"another has it", func() error { return rename("bob", "ada") }, false},
		{"she has it again", func() error { _ = rename("ada", "bob"); return rename("adele", "ada") }, true},
		{"the code is free", func() error {
			_, err := n.DeleteOrganization(ctx, directory.OrganizationActionInput{Organization: directory.OrganizationRef{Code: new("acme")}})
			return err
		}, false},
		{"another organization has it", func() error {
			_, err := n.CreateOrganization(ctx, directory.CreateOrganizationInput{Name: "acme", Code: new("acme")})
			return err
		}, false},
		{"she is a member there", func() error { return join("ada") }, true},
		{"she is deleted", func() error {
			_, err := n.DeleteUser(ctx, directory.UserActionInput{User: directory.UserRef{Username: new("ada")}})
			return err
		}, false},
	} {
		if err := step.change(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if n.can(ctx, n.Directory, "ada", "acme") != step.can {
			t.Errorf("%s: not on this server", step.name)
		}
		if last != 0 {
			must(0, far.Await(ctx, changes.Revision{}.With(last).String()))(t)
		}
		if n.can(ctx, far, "ada", "acme") != step.can {
			t.Errorf("%s: not on the other server", step.name)
		}
		if step.can && (n.least(ctx, n.Directory, "ada", "acme") > 0 || n.least(ctx, far, "ada", "acme") > 0) {
			t.Errorf("%s: the database is asked each time", step.name)
		}
	}
}

// Memory does not reveal a user to an actor who must not know of them: names that
// others have asked for cost the actor as many statements as names that nobody has.
func TestNamesInMemoryAreNotForAll(t *testing.T) {
	t.Parallel()
	n := namesake{traced: &dbtest.Statements{}}
	n.business = newBusiness(t, n.traced)
	must(0, n.Follow(t.Context()))(t)
	n.definePermissions("thing:do")
	acme, other := n.organization("acme"), n.organization("other")
	n.user("ada", acme)
	n.user("bob", other)
	for _, organization := range []string{"acme", "other"} {
		for _, user := range []string{"ada", "bob"} {
			if took := n.least(n.ctx, n.Directory, user, organization); took > 0 {
				t.Fatalf("%s in %s: the database is asked each time", user, organization)
			}
		}
	}
	inside := n.holding("acme", string(access.MembersRead))
	for _, organization := range []string{"acme", "other", "nowhere"} {
		for _, user := range []string{"bob", "nobody"} {
			if took := n.least(inside, n.Directory, user, organization); took != 1 {
				t.Errorf("%s in %s takes %d statements", user, organization, took)
			}
		}
	}
}
