package directory_test

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// Every field of every filter narrows its list, alone and beside each other field: an
// element that does not match one field is not found, even if it matches the others.
func TestEveryFilterNarrows(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme, bravo := b.organization("Acme"), b.organization("Bravo")
	b.definePermissions("p", "q")
	b.role("reader", permissionRefs("p")...)
	b.role("writer", permissionRefs("q")...)
	ada := b.user("ada", acme)
	b.user("bob", acme, bravo)
	must(0, b.grantRole("ada", "acme", "reader"))(t)
	must(0, b.grantRole("bob", "acme", "writer"))(t)
	made := must(b.Changes(b.ctx, list.Page{}, &directory.ChangeFilter{Subject: new(acme.ID.String())}))(t).Nodes[0]
	page := list.Page{First: new(list.MaxSize)}

	t.Run("users", func(t *testing.T) {
		t.Parallel()
		narrows(t, directory.UserFilter{
			Search: new("ada"), Status: new(db.Active), Organization: new(orgID(acme)),
			CreatedAfter: new(ada.CreatedAt.Add(-time.Hour)), CreatedBefore: new(ada.CreatedAt.Add(time.Hour)),
		}, directory.UserFilter{
			Search: new("bob"), Status: new(db.Suspended), Organization: new(orgID(bravo)),
			CreatedAfter: new(ada.CreatedAt.Add(time.Hour)), CreatedBefore: new(ada.CreatedAt.Add(-time.Hour)),
		}, func(t *testing.T, f directory.UserFilter) bool {
			c := counted(b.ctx, t, must(b.Users(b.ctx, page, &f, nil, nil))(t))
			return slices.ContainsFunc(c, func(u *db.User) bool { return u.ID == ada.ID })
		})
	})
	t.Run("organizations", func(t *testing.T) {
		t.Parallel()
		narrows(t, directory.OrganizationFilter{
			Search: new("acme"), Status: new(db.Active),
		}, directory.OrganizationFilter{
			Search: new("bravo"), Status: new(db.Suspended),
		}, func(t *testing.T, f directory.OrganizationFilter) bool {
			c := counted(b.ctx, t, must(b.Organizations(b.ctx, page, &f, nil, nil))(t))
			return slices.ContainsFunc(c, func(o *db.Organization) bool { return o.ID == acme.ID })
		})
	})
	t.Run("members", func(t *testing.T) {
		t.Parallel()
		narrows(t, directory.MemberFilter{
			Search: new("ada"), Role: new(roleRef("reader")), Can: new("p"), Status: new(db.Active), MemberStatus: new(db.Active),
		}, directory.MemberFilter{
			Search: new("bob"), Role: new(roleRef("writer")), Can: new("q"), Status: new(db.Suspended), MemberStatus: new(db.Suspended),
		}, func(t *testing.T, f directory.MemberFilter) bool {
			c := counted(b.ctx, t, must(b.Members(b.ctx, []db.OrganizationID{acme.ID}, directory.MemberPage{Page: page}, &f, nil))(t)[0])
			return slices.ContainsFunc(c, func(m *db.Membership) bool { return m.UserID == ada.ID })
		})
	})
	t.Run("changes", func(t *testing.T) {
		t.Parallel()
		narrows(t, directory.ChangeFilter{
			Action: &made.Action, Subject: &made.Subject, Actor: &made.Actor, Organization: new(orgID(acme)),
			After: new(made.At.Add(-time.Hour)), Before: new(made.At.Add(time.Hour)),
		}, directory.ChangeFilter{
			Action: new("user.created"), Subject: new(ada.ID.String()), Actor: new("system:other"), Organization: new(orgID(bravo)),
			After: new(made.At.Add(time.Hour)), Before: new(made.At.Add(-time.Hour)),
		}, func(t *testing.T, f directory.ChangeFilter) bool {
			c := counted(b.ctx, t, must(b.Changes(b.ctx, page, &f))(t))
			return slices.ContainsFunc(c, func(c *db.Change) bool { return c.ID == made.ID })
		})
	})
}

// counted returns the nodes of a list that one page holds.
func counted[T any](ctx context.Context, t *testing.T, c *list.Connection[T]) []*T {
	t.Helper()
	if n := must(c.TotalCount(ctx))(t); n != len(c.Nodes) {
		t.Errorf("%d found, %d counted", len(c.Nodes), n)
	}
	return c.Nodes
}

// narrows checks the fields of a filter, alone and in pairs: finds must report true
// for the fields of keep, and false for each field of drop.
func narrows[F any](t *testing.T, keep, drop F, finds func(*testing.T, F) bool) {
	t.Helper()
	kept, dropped := reflect.ValueOf(keep), reflect.ValueOf(drop)
	fields := reflect.TypeFor[F]()
	if !finds(t, keep) {
		t.Error("not found by all fields together")
	}
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if kept.Field(i).IsZero() || dropped.Field(i).IsZero() {
			t.Errorf("%s has no value to be tried with", name)
			continue
		}
		for j := range fields.NumField() {
			filter := func(of reflect.Value) F {
				var f F
				reflect.ValueOf(&f).Elem().Field(j).Set(kept.Field(j)) // if it is i itself, it is overwritten
				reflect.ValueOf(&f).Elem().Field(i).Set(of.Field(i))
				return f
			}
			beside := fields.Field(j).Name
			if !finds(t, filter(kept)) {
				t.Errorf("%s beside %s does not find what matches both", name, beside)
			}
			if finds(t, filter(dropped)) {
				t.Errorf("%s beside %s finds what does not match it", name, beside)
			}
		}
	}
}
