package directory_test

import (
	"slices"
	"testing"
	"time"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// The log of changes is read in pages both ways, through filters; an actor of one
// organization reads only the changes that concern it.
func TestChanges(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme, bravo := b.organization("acme"), b.organization("bravo")
	admin := b.holding("", string(access.RolesWrite), string(access.ChangesRead))
	start := one[time.Time](b, "select clock_timestamp()")
	var want []string
	for _, key := range []string{"p1", "p2", "p3", "p4", "p5"} {
		p := must(b.CreatePermission(admin, directory.CreatePermissionInput{Key: key}))(t)
		want = append(want, "permission.created "+p.ID.String())
	}
	end := one[time.Time](b, "select clock_timestamp()")
	ada := b.user("ada", acme)
	must(b.SuspendUser(b.ctx, directory.UserActionInput{User: *userID(ada)}))(t)

	lines := func(rows []*db.Change) []string {
		all := make([]string, len(rows))
		for i, row := range rows {
			all[i] = row.Action + " " + row.Subject
		}
		return all
	}
	filter := &directory.ChangeFilter{Actor: new(access.ActorOf(admin).Key.ID.String()), Action: new("permission.created"), After: &start, Before: &end}
	for size := 1; size <= 6; size++ {
		var forward, backward []string
		for page := (list.Page{First: &size}); ; {
			c := must(b.Changes(admin, page, filter))(t)
			forward = append(forward, lines(c.Nodes)...)
			if page.After = c.PageInfo().EndCursor; !c.PageInfo().HasNextPage {
				break
			}
		}
		for page := (list.Page{Last: &size}); ; {
			c := must(b.Changes(admin, page, filter))(t)
			backward = append(lines(c.Nodes), backward...)
			if page.Before = c.PageInfo().StartCursor; !c.PageInfo().HasPreviousPage {
				break
			}
		}
		if !slices.Equal(forward, want) || !slices.Equal(backward, want) {
			t.Errorf("by %d: forward %q, backward %q; want %q", size, forward, backward, want)
		}
	}

	bound := b.holding("acme", string(access.ChangesRead))
	suspended := "user.suspended " + ada.ID.String()
	for name, c := range map[string]struct {
		bound  bool
		filter directory.ChangeFilter
		want   []string
	}{
		"subject":                   {false, directory.ChangeFilter{Subject: new(ada.ID.String()), Action: new("user.suspended")}, []string{suspended}},
		"system":                    {false, directory.ChangeFilter{Subject: new(ada.ID.String()), Actor: new("system:test")}, []string{"user.created " + ada.ID.String(), suspended}},
		"no such subject":           {false, directory.ChangeFilter{Subject: new("user_what")}, []string{}},
		"no such actor":             {false, directory.ChangeFilter{Actor: new("\x00")}, []string{}},
		"no such action":            {false, directory.ChangeFilter{Action: new("x.\u0000")}, []string{}},
		"organization":              {false, directory.ChangeFilter{Organization: new(orgID(bravo))}, []string{"organization.created " + bravo.ID.String()}},
		"hidden subject":            {true, directory.ChangeFilter{Subject: new(bravo.ID.String())}, []string{}},
		"own organization":          {true, directory.ChangeFilter{Organization: new(orgCode("ACME")), Subject: new(acme.ID.String())}, []string{"organization.created " + acme.ID.String()}},
		"users belong to no single": {true, directory.ChangeFilter{Subject: new(ada.ID.String())}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := admin
			if c.bound {
				ctx = bound
			}
			got := must(b.Changes(ctx, list.Page{}, &c.filter))(t).Nodes
			if !slices.Equal(lines(got), c.want) {
				t.Errorf("got %q, want %q", lines(got), c.want)
			}
		})
	}
	for _, hidden := range []directory.OrganizationRef{orgID(bravo), orgCode("bravo"), orgCode("none"), {ID: new("org_what")}} {
		_, err := b.Changes(bound, list.Page{}, &directory.ChangeFilter{Organization: &hidden})
		wantFaults(t, err, "NOT_FOUND filter.organization")
	}
	_, err := b.Changes(b.holding("", string(access.UsersRead)), list.Page{First: new(1000)}, nil)
	wantFaults(t, err, "FORBIDDEN ")

	// The rows are whole.
	of := directory.ChangeFilter{Subject: new(acme.ID.String())}
	made := must(b.Changes(bound, list.Page{}, &of))(t).Nodes[0]
	if made.XID == 0 || made.Before != nil || made.After == nil || *made.OrgID != acme.ID || made.Actor != "system:test" {
		t.Errorf("read %+v", made)
	}
	foreign := must(b.Changes(admin, list.Page{}, &directory.ChangeFilter{Organization: new(orgCode("bravo"))}))(t).Nodes[0]
	byID := must(b.Nodes(bound, []string{foreign.NodeID(), made.NodeID(), db.NewID[db.ChangeKind]().String()}))(t)
	if found, ok := byID[1].(*db.Change); !ok || found.ID != made.ID || string(found.After) != string(made.After) || byID[0] != nil || byID[2] != nil {
		t.Errorf("by id %+v", byID)
	}

	// A deleted organization still has its history; a deleted user has one without
	// personal data.
	must(b.DeleteOrganization(b.ctx, directory.OrganizationActionInput{Organization: orgID(bravo)}))(t)
	if got := must(b.Changes(admin, list.Page{}, &directory.ChangeFilter{Organization: new(orgID(bravo))}))(t).Nodes; len(got) != 2 {
		t.Errorf("the history of a deleted organization is %q", lines(got))
	}
	must(b.DeleteUser(b.ctx, directory.UserActionInput{User: *userID(ada)}))(t)
	for _, row := range must(b.Changes(admin, list.Page{}, &directory.ChangeFilter{Subject: new(ada.ID.String())}))(t).Nodes {
		if told := string(row.Before) + string(row.After); told != "" && told != `{"status": "SUSPENDED"}` {
			t.Errorf("%s still tells %s", row.Action, told)
		}
	}
}
