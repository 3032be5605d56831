package directory_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"roster/changes"
	"roster/db"
	"roster/db/list"
	"roster/directory"
	"roster/problem"
)

// ask asks the server n random questions. In a document, ctx carries its
// transaction.
func (h *history) ask(ctx context.Context, d *directory.Directory, n int) {
	if h.reader != h.writer && d == h.reader && h.last != 0 {
		err := d.Await(ctx, changes.Revision{}.With(h.last).String())
		for tries := 0; tries < 30 && problem.Is(err, problem.Stale); tries++ { // on a busy machine
			err = d.Await(ctx, changes.Revision{}.With(h.last).String())
		}
		if err != nil {
			h.fail("await: %v", err)
		}
	}
	for range n {
		if h.t.Failed() {
			return
		}
		choose(h, []func(context.Context, *directory.Directory){
			h.askCan, h.askCanByName, h.askChecks, h.askMatrix, h.askMembers, h.askEffective, h.askRoles, h.askGrants, h.askExplain,
			h.askHolders, h.askRoleMembers, h.askMemberships, h.askWhoCan, h.askPast,
		})(ctx, d)
	}
}

// compare compares an answer with the model's. If a grant begins or ends meanwhile,
// it asks again.
func (h *history) compare(question string, answer func() (string, error), expected func(at time.Time) string) {
	for range 20 {
		from := time.Now()
		got, err := answer()
		to := time.Now()
		if err != nil {
			h.fail("%s: %v", question, err)
			return
		}
		if h.boundary(from.Add(-time.Millisecond), to.Add(time.Millisecond)) {
			continue
		}
		if want := expected(to); got != want {
			h.fail("%s\n\tgot  %s\n\twant %s", question, got, want)
		}
		h.questions++
		return
	}
}

func (h *history) askCan(ctx context.Context, d *directory.Directory) {
	s, key := h.someSpot(), h.someKey()
	h.compare(fmt.Sprintf("can %v do %s", s, key),
		func() (string, error) {
			can, err := d.Can(ctx, h.userRef(s.user), h.orgRef(s.org), key)
			return fmt.Sprint(can), err
		},
		func(at time.Time) string { return fmt.Sprint(h.can(s, key, at)) })
}

// askCanByName asks by names that somebody had before, or that nobody has.
func (h *history) askCanByName(ctx context.Context, d *directory.Directory) {
	user, org, key := h.key("name"), h.key("org"), h.someKey()
	h.compare(fmt.Sprintf("can %s in %s do %s", user, org, key),
		func() (string, error) {
			can, err := d.Can(ctx, directory.UserRef{Username: &user}, directory.OrganizationRef{Code: &org}, key)
			return fmt.Sprint(can), err
		},
		func(at time.Time) string {
			return fmt.Sprint(h.can(spot{called(h.users, user), called(h.orgs, org)}, key, at))
		})
}

func (h *history) askChecks(ctx context.Context, d *directory.Directory) {
	var in []*directory.CheckInput
	var spots []spot
	for range 1 + h.random.IntN(20) {
		s := h.someSpot()
		spots = append(spots, s)
		in = append(in, &directory.CheckInput{User: h.userRef(s.user), Organization: h.orgRef(s.org), Permission: h.someKey()})
	}
	h.compare("checks",
		func() (string, error) {
			answers, err := d.Checks(ctx, in)
			return render(len(answers), func(i int) string { return fmt.Sprint(spots[i], in[i].Permission, answers[i]) }), err
		},
		func(at time.Time) string {
			return render(len(in), func(i int) string {
				return fmt.Sprint(spots[i], in[i].Permission, h.can(spots[i], in[i].Permission, at))
			})
		})
	h.questions += len(in) - 1
}

func (h *history) askMatrix(ctx context.Context, d *directory.Directory) {
	org, users, keys := h.someOrg(), some(h, h.listExisting(h.users), 6), []string{h.someKey(), h.someKey(), h.someKey()}
	h.compare(fmt.Sprintf("matrix of %s", org),
		func() (string, error) {
			rows, err := d.CheckMatrix(ctx, h.orgRef(org), h.userRefs(users), keys)
			return render(len(rows), func(i int) string { return fmt.Sprint(users[i], keys, rows[i]) }), err
		},
		func(at time.Time) string {
			return render(len(users), func(i int) string {
				row := make([]bool, len(keys))
				for j, key := range keys {
					row[j] = h.can(spot{users[i], org}, key, at)
				}
				return fmt.Sprint(users[i], keys, row)
			})
		})
	h.questions += len(users)*len(keys) - 1
}

func (h *history) askMembers(ctx context.Context, d *directory.Directory) {
	members, key := h.someMembers(), h.someKey()
	h.compare("can of members for "+key,
		func() (string, error) {
			answers, err := d.CanMembers(ctx, members, key)
			return render(len(answers), func(i int) string { return fmt.Sprint(spotOf(members[i]), answers[i]) }), err
		},
		func(at time.Time) string {
			return render(len(members), func(i int) string { return fmt.Sprint(spotOf(members[i]), h.can(spotOf(members[i]), key, at)) })
		})
	h.questions += len(members) - 1
}

func (h *history) askEffective(ctx context.Context, d *directory.Directory) {
	members := h.someMembers()
	h.compare("effective permissions",
		func() (string, error) { return effectiveOf(ctx, d, members, nil) },
		func(at time.Time) string {
			return render(len(members), func(i int) string {
				s := spotOf(members[i])
				var all []string
				for _, id := range h.effective(s, at) {
					all = append(all, id+" from "+describe(h.sources(s, id, held, at)))
				}
				return fmt.Sprint(s, all)
			})
		})
	h.questions += len(members) - 1
}

// askPast asks what members could do at an earlier moment, as far as they have
// been members since.
func (h *history) askPast(ctx context.Context, d *directory.Directory) {
	if len(h.moments) == 0 {
		return
	}
	m := choose(h, h.moments)
	members := slices.DeleteFunc(h.someMembers(), func(member *db.Membership) bool { _, was := m.can[spotOf(member)]; return !was })
	h.compare(fmt.Sprintf("effective permissions at %v", m.at),
		func() (string, error) { return effectiveOf(ctx, d, members, &m.at) },
		func(time.Time) string {
			return render(len(members), func(i int) string {
				// Ordered by the present keys: a key that was deleted since may be another's.
				all := slices.Clone(m.can[spotOf(members[i])])
				slices.SortFunc(all, func(a, b string) int {
					return cmp.Or(strings.Compare(h.permissions[a[:31]].key, h.permissions[b[:31]].key), strings.Compare(a[:31], b[:31]))
				})
				return fmt.Sprint(spotOf(members[i]), all)
			})
		})
}

func effectiveOf(ctx context.Context, d *directory.Directory, members []*db.Membership, at *time.Time) (string, error) {
	all, err := d.EffectivePermissions(ctx, members, at)
	if err != nil {
		return "", err
	}
	texts := make([]string, len(all))
	for i, permissions := range all {
		var each []string
		for _, p := range permissions {
			sources, err := p.Sources(ctx)
			if err != nil {
				return "", err
			}
			each = append(each, p.Permission.ID.String()+" from "+describeGrants(sources))
		}
		texts[i] = fmt.Sprint(spotOf(members[i]), each)
	}
	return strings.Join(texts, "\n"), nil
}

func (h *history) askRoles(ctx context.Context, d *directory.Directory) {
	members := h.someMembers()
	h.compare("roles held",
		func() (string, error) {
			all, err := d.HeldRoles(ctx, members)
			return render(len(all), func(i int) string { return fmt.Sprint(spotOf(members[i]), idsOf(all[i])) }), err
		},
		func(at time.Time) string {
			return render(len(members), func(i int) string { return fmt.Sprint(spotOf(members[i]), h.heldRoles(spotOf(members[i]), at)) })
		})
	h.questions += len(members) - 1
}

// askGrants asks for all grants, or for the ones that hold or will hold: the term,
// the reason, and whether it was revoked.
func (h *history) askGrants(ctx context.Context, d *directory.Directory) {
	members, includeEnded := h.someMembers(), h.random.IntN(2) == 0
	h.compare("grants",
		func() (string, error) {
			all, err := d.Grants(ctx, members, includeEnded)
			return render(len(all), func(i int) string { return fmt.Sprint(spotOf(members[i]), describeTerms(all[i])) }), err
		},
		func(at time.Time) string {
			return render(len(members), func(i int) string {
				var texts []string
				for _, f := range h.facts {
					if f.spot == spotOf(members[i]) && (includeEnded || f.live(at)) {
						texts = append(texts, termText(f.targetID(), f.granted, f.starts, f.ends, f.reason, f.revoked))
					}
				}
				slices.Sort(texts)
				return fmt.Sprint(spotOf(members[i]), texts)
			})
		})
	h.questions += len(members) - 1
}

func (h *history) askExplain(ctx context.Context, d *directory.Directory) {
	s, key := h.someSpot(), h.someKey()
	h.compare(fmt.Sprintf("explain %v %s", s, key),
		func() (string, error) {
			e, err := d.Explain(ctx, h.userRef(s.user), h.orgRef(s.org), key)
			if err != nil {
				return "", err
			}
			roles := idsOf(e.RolesThatWouldAllow)
			slices.Sort(roles)
			return fmt.Sprint(e.Allowed, e.Obstacles, describeGrants(e.Sources), roles), nil
		},
		func(at time.Time) string {
			obstacles := h.obstacles(s, key, at)
			var sources []*fact
			var roles []string
			if id := h.permission(key, at); id != "" {
				roles = h.rolesWith(id, at)
				if len(obstacles) == 0 {
					sources = h.sources(s, id, held, at)
				}
			}
			return fmt.Sprint(h.can(s, key, at), obstacles, describe(sources), roles)
		})
}

func (h *history) askHolders(ctx context.Context, d *directory.Directory) {
	id, org, ref := h.somePermission(), h.someOrg(), (*directory.OrganizationRef)(nil)
	if h.random.IntN(2) == 0 {
		ref = new(h.orgRef(org))
	}
	h.compare(fmt.Sprintf("holders of %s in %v", id, ref),
		func() (string, error) {
			return h.collect(ctx, func(page list.Page) (*list.Connection[db.Membership], error) {
				all, err := d.PermissionHolders(ctx, []db.PermissionID{parsed[db.PermissionKind](id)}, ref, directory.MemberPage{Page: page})
				return first(all), err
			})
		},
		func(at time.Time) string {
			return inAnyOrder(h.spots(func(s spot) bool { return (ref == nil || s.org == org) && h.may(s, id, at) }))
		})
}

func (h *history) askRoleMembers(ctx context.Context, d *directory.Directory) {
	id, org, ref := choose(h, h.ours(h.roles)), h.someOrg(), (*directory.OrganizationRef)(nil)
	if h.random.IntN(2) == 0 {
		ref = new(h.orgRef(org))
	}
	h.compare(fmt.Sprintf("members with role %s in %v", id, ref),
		func() (string, error) {
			return h.collect(ctx, func(page list.Page) (*list.Connection[db.Membership], error) {
				all, err := d.RoleMembers(ctx, []db.RoleID{parsed[db.RoleKind](id)}, ref, directory.MemberPage{Page: page})
				return first(all), err
			})
		},
		func(at time.Time) string {
			return inAnyOrder(h.spots(func(s spot) bool { return (ref == nil || s.org == org) && slices.Contains(h.heldRoles(s, at), id) }))
		})
}

func (h *history) askMemberships(ctx context.Context, d *directory.Directory) {
	user, key := h.someUser(), h.someKey()
	h.compare(fmt.Sprintf("memberships of %s that can %s", user, key),
		func() (string, error) {
			return h.collect(ctx, func(page list.Page) (*list.Connection[db.Membership], error) {
				all, err := d.UserMemberships(ctx, []db.UserID{parsed[db.UserKind](user)}, directory.MemberPage{Page: page}, &key)
				return first(all), err
			})
		},
		func(at time.Time) string {
			return inAnyOrder(h.spots(func(s spot) bool { return s.user == user && h.can(s, key, at) }))
		})
}

// askWhoCan asks for the members of an organization who can do something, and
// sometimes hold a role too.
func (h *history) askWhoCan(ctx context.Context, d *directory.Directory) {
	org, key, role := h.someOrg(), h.someKey(), ""
	filter := &directory.MemberFilter{Can: &key}
	if h.random.IntN(3) == 0 {
		role = choose(h, h.ours(h.roles))
		filter.Role = &directory.RoleRef{ID: &role}
	}
	h.compare(fmt.Sprintf("members of %s that can %s and hold %q", org, key, role),
		func() (string, error) {
			return h.collect(ctx, func(page list.Page) (*list.Connection[db.Membership], error) {
				all, err := d.Members(ctx, []db.OrganizationID{parsed[db.OrganizationKind](org)}, directory.MemberPage{Page: page}, filter, nil)
				return first(all), err
			})
		},
		func(at time.Time) string {
			return inAnyOrder(h.spots(func(s spot) bool {
				return s.org == org && h.can(s, key, at) && (role == "" || slices.Contains(h.heldRoles(s, at), role))
			}))
		})
}

// collect goes through a list page by page, to its end.
func (h *history) collect(ctx context.Context, read func(list.Page) (*list.Connection[db.Membership], error)) (string, error) {
	var all []spot
	page := list.Page{First: new(1 + h.random.IntN(8))}
	for {
		c, err := read(page)
		if err != nil {
			return "", err
		}
		for _, m := range c.Nodes {
			all = append(all, spotOf(m))
		}
		info := c.PageInfo()
		if info.HasNextPage {
			page.After = info.EndCursor
			continue
		}
		total, err := c.TotalCount(ctx)
		if total != len(all) && err == nil {
			return fmt.Sprintf("%d found, %d counted", len(all), total), nil
		}
		return inAnyOrder(all), err
	}
}

// Helpers for choosing.

// someSpot returns a member's spot as a rule, or one of any user and organization,
// including deleted ones.
func (h *history) someSpot() spot {
	if h.random.IntN(4) > 0 {
		return spotOf(choose(h, h.someMembers()))
	}
	everybody := func(all map[string]*party) []string {
		ids := h.listExisting(all)
		for id, p := range all {
			if p.gone {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return ids
	}
	return spot{choose(h, everybody(h.users)), choose(h, everybody(h.orgs))}
}

// someMembers returns memberships as lists return them.
func (h *history) someMembers() []*db.Membership {
	spots := h.spots(func(spot) bool { return true })
	slices.SortFunc(spots, func(a, b spot) int { return strings.Compare(a.user+a.org, b.user+b.org) })
	var members []*db.Membership
	for _, s := range some(h, spots, 8) {
		members = append(members, &db.Membership{UserID: parsed[db.UserKind](s.user), OrgID: parsed[db.OrganizationKind](s.org)})
	}
	return members
}

func (h *history) somePermission() string { return choose(h, h.ours(h.permissions)) }

// someKey returns the key of a permission, sometimes a former one or one that does not
// exist.
func (h *history) someKey() string {
	if h.random.IntN(4) == 0 {
		return h.key("p")
	}
	return h.permissions[h.somePermission()].key
}

// Helpers for comparing.

func spotOf(m *db.Membership) spot { return spot{m.UserID.String(), m.OrgID.String()} }

func parsed[K db.Kind](text string) db.ID[K] {
	id, err := db.ParseID[K](text)
	if err != nil {
		panic(text)
	}
	return id
}

func first[T any](all []*T) *T {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

func render(n int, one func(i int) string) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = one(i)
	}
	return strings.Join(texts, "\n")
}

// inAnyOrder returns the text of the spots, sorted.
func inAnyOrder(spots []spot) string {
	texts := make([]string, len(spots))
	for i, s := range spots {
		texts[i] = s.user + " in " + s.org
	}
	slices.Sort(texts)
	return strings.Join(texts, "\n")
}

func idsOf(roles []*db.Role) []string {
	var ids []string
	for _, r := range roles {
		ids = append(ids, r.ID.String())
	}
	return ids
}

// describe returns a text that tells grants apart by target and time.
func describe(facts []*fact) string {
	texts := make([]string, len(facts))
	for i, f := range facts {
		texts[i] = f.targetID() + " at " + f.granted.UTC().Format(time.RFC3339Nano)
	}
	slices.Sort(texts)
	return fmt.Sprint(texts)
}

// termText returns everything about a grant except its id and who granted it.
func termText(targetID string, granted, starts time.Time, ends *time.Time, reason *string, revoked *time.Time) string {
	text := fmt.Sprintf("%s at %d from %d", targetID, granted.UnixMicro(), starts.UnixMicro())
	if ends != nil {
		text += fmt.Sprintf(" to %d", ends.UnixMicro())
	}
	if reason != nil {
		text += " because " + *reason
	}
	if revoked != nil {
		text += fmt.Sprintf(" revoked %d", revoked.UnixMicro())
	}
	return text
}

func describeTerms(grants []directory.Grant) []string {
	var texts []string
	for _, g := range grants {
		var of *db.Grant
		var targetID string
		switch g := g.(type) {
		case *directory.RoleGrant:
			of, targetID = &g.Grant, g.RoleID.String()
		case *directory.PermissionGrant:
			of, targetID = &g.Grant, g.PermissionID.String()
		}
		texts = append(texts, termText(targetID, of.GrantedAt, of.StartsAt, of.EndsAt, of.Reason, of.RevokedAt))
	}
	slices.Sort(texts)
	return texts
}

func describeGrants(grants []directory.Grant) string {
	texts := make([]string, len(grants))
	for i, g := range grants {
		switch g := g.(type) {
		case *directory.RoleGrant:
			texts[i] = g.RoleID.String() + " at " + g.GrantedAt.UTC().Format(time.RFC3339Nano)
		case *directory.PermissionGrant:
			texts[i] = g.PermissionID.String() + " at " + g.GrantedAt.UTC().Format(time.RFC3339Nano)
		}
	}
	slices.Sort(texts)
	return fmt.Sprint(texts)
}
