package directory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"roster/access"
	"roster/db"
)

// moments are the times after a document at which it is compared who holds what. Random
// terms end between them.
var moments = []time.Duration{time.Second, 30 * time.Minute, 90 * time.Minute, 150 * time.Minute, 210 * time.Minute}

// holder is a user in an organization, or an API key that stands for itself there; the
// zero organization is everywhere, for keys.
type holder struct {
	id  string
	org db.OrganizationID
}

// holding is what somebody holds, by the key of the permission.
type holding struct {
	holder
	permission string
}

// facts is who holds what at each of the moments, worked out without the directory.
type facts struct {
	held    map[holding][]bool
	members map[holder]db.MembershipID
	// defaults are the permissions that newcomers get, by organization; nil for one whose
	// members get the ones of the business.
	defaults map[db.OrganizationID][]string
	business []string
	// fallback is the default organization.
	fallback db.OrganizationID
	// doors are ways into organizations for whoever comes by: a domain, or none for everybody.
	doors    map[door]bool
	systemic map[string]bool
}

type door struct {
	org    db.OrganizationID
	domain string
}

type factRow struct {
	OrgID      db.OrganizationID
	UserID     db.UserID
	Permission string
	StartsAt   time.Time
	EndsAt     *time.Time
}

func (b *business) facts(ctx context.Context, now time.Time) *facts {
	b.t.Helper()
	f := &facts{held: map[holding][]bool{}, members: map[holder]db.MembershipID{}, defaults: map[db.OrganizationID][]string{}, systemic: map[string]bool{}, doors: map[door]bool{}}
	for _, m := range must(db.Select[db.Membership](ctx, b.db, "select * from memberships"))(b.t) {
		f.members[holder{m.UserID.String(), m.OrgID}] = m.ID
	}
	for _, g := range must(db.Select[factRow](ctx, b.db, `select g.org_id, g.user_id, p.key as permission, g.starts_at, g.ends_at from (
			select g.org_id, g.user_id, rp.permission_id, g.starts_at, g.ends_at from membership_roles g
				join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null where g.live
			union all select g.org_id, g.user_id, g.permission_id, g.starts_at, g.ends_at from membership_permissions g where g.live) g
		join permissions p on p.id = g.permission_id and p.deleted_at is null
		join users u on u.id = g.user_id and u.status = 'ACTIVE' join organizations o on o.id = g.org_id and o.status = 'ACTIVE'
		join memberships m on m.org_id = g.org_id and m.user_id = g.user_id and m.status = 'ACTIVE'`))(b.t) {
		f.add(holding{holder{g.UserID.String(), g.OrgID}, g.Permission}, now, g.StartsAt, g.EndsAt)
	}
	f.addKeys(b, ctx, now)
	for _, d := range must(db.Select[struct {
		OrgID      *db.OrganizationID
		Permission string
	}](ctx, b.db, `select d.org_id, p.key as permission from (select org_id, role_id from organization_default_roles
			union all select null, id from roles where is_default and deleted_at is null) d
		join role_permissions rp on rp.role_id = d.role_id and rp.revoked_at is null join permissions p on p.id = rp.permission_id`))(b.t) {
		if d.OrgID == nil {
			f.business = append(f.business, d.Permission)
		} else {
			f.defaults[*d.OrgID] = append(f.defaults[*d.OrgID], d.Permission)
		}
	}
	f.fallback = must(db.Select[db.OrganizationID](ctx, b.db, "select id from organizations where is_default"))(b.t)[0]
	for _, org := range must(db.Select[db.Organization](ctx, b.db, "select * from organizations where deleted_at is null"))(b.t) {
		if org.AllowSelfSignUp {
			f.doors[door{org: org.ID}] = true
		}
		for _, domain := range org.AutoJoinDomains {
			f.doors[door{org.ID, domain}] = true
		}
	}
	for _, key := range must(db.Select[string](ctx, b.db, "select key from permissions where is_system"))(b.t) {
		f.systemic[key] = true
	}
	return f
}

// add adds a term in which somebody holds something.
func (f *facts) add(h holding, now, from time.Time, until *time.Time) {
	if f.held[h] == nil {
		f.held[h] = make([]bool, len(moments))
	}
	for i, after := range moments {
		t := now.Add(after)
		f.held[h][i] = f.held[h][i] || !from.After(t) && (until == nil || until.After(t))
	}
}

// addKeys adds what API keys that stand for themselves hold. What the others can do, their
// users hold.
func (f *facts) addKeys(b *business, ctx context.Context, now time.Time) {
	b.t.Helper()
	type keyRow struct {
		ID          db.APIKeyID
		Everywhere  bool
		OrgID       db.OrganizationID
		ExpiresAt   *time.Time
		Works, Self bool
		Responsible string
		Permissions []string `bun:",array"`
	}
	keys := map[string]keyRow{}
	for _, k := range must(db.Select[keyRow](ctx, b.db, `select k.id, k.org_id is null as everywhere, coalesce(k.org_id, '00000000-0000-0000-0000-000000000000') as org_id, k.expires_at,
			k.revoked_at is null and coalesce(u.status, 'ACTIVE') = 'ACTIVE' and coalesce(o.status, 'ACTIVE') = 'ACTIVE'
				and not exists (select from memberships m where m.user_id = k.user_id and m.org_id = coalesce(k.org_id, `+db.RootSQL+`) and m.status = 'SUSPENDED') as works, k.user_id is null as self,
			coalesce(k.responsible_id::text, '') as responsible,
			array(select p.key from api_key_permissions kp join permissions p on p.id = kp.permission_id where kp.api_key_id = k.id) as permissions
		from api_keys k left join users u on u.id = k.user_id left join organizations o on o.id = k.org_id where k.created_by <> 'system:setup'`))(b.t) {
		text, _ := k.ID.Value()
		keys[fmt.Sprint(text)] = k
	}
	for _, k := range keys {
		until, works := k.ExpiresAt, k.Works
		for up := k.Responsible; up != "" && works; up = keys[up].Responsible {
			above := keys[up]
			works = above.Works
			if above.ExpiresAt != nil && (until == nil || above.ExpiresAt.Before(*until)) {
				until = above.ExpiresAt
			}
		}
		if works && k.Self {
			for _, p := range k.Permissions {
				f.add(holding{holder{k.ID.String(), k.OrgID}, p}, now, time.Time{}, until)
			}
		}
	}
}

// heldAt reports whether h holds at moment i.
func (f *facts) heldAt(h holding, i int) bool {
	held := f.held[h]
	return len(held) > i && held[i]
}

// compare returns what is wrong with the facts after a document of the actor.
func (f *facts) compare(after *facts, actor *access.Actor) (wrong []string) {
	for h, held := range after.held {
		for i, holds := range held {
			if holds && !f.heldAt(h, i) && !f.mayGive(actor, h, i) && !f.isDefault(after, h) {
				wrong = append(wrong, fmt.Sprintf("%s holds %s in %s after %v", h.id, h.permission, h.org, moments[i]))
				break
			}
		}
	}
	for m := range after.members {
		if _, was := f.members[m]; !was && m.org != f.fallback && !f.heldBy(actor, string(access.MembersWrite), m.org)[0] {
			wrong = append(wrong, fmt.Sprintf("%s was placed in %s", m.id, m.org))
		}
	}
	for d := range after.doors {
		if !f.doors[d] && !f.heldBy(actor, string(access.MembersWrite), d.org)[0] {
			wrong = append(wrong, fmt.Sprintf("%s was opened to %q", d.org, d.domain))
		}
	}
	for _, key := range append(slices.Concat(slices.Collect(maps.Values(after.defaults))...), after.business...) {
		if after.systemic[key] {
			wrong = append(wrong, "newcomers get "+key)
		}
	}
	return wrong
}

// heldBy returns at which moments the actor holds the permission in the organization.
func (f *facts) heldBy(actor *access.Actor, permission string, org db.OrganizationID) []bool {
	all := make([]bool, len(moments))
	if !actor.HoldsSomewhere(access.Permission(permission)) || actor.Organization != nil && *actor.Organization != org {
		return all
	}
	for i := range all {
		all[i] = actor.User == nil
		if actor.User == nil {
			continue
		}
		for _, at := range []*db.OrganizationID{new(db.Root), actor.Organization} {
			if at != nil {
				all[i] = all[i] || f.heldAt(holding{holder{actor.User.String(), *at}, permission}, i)
			}
		}
	}
	return all
}

// mayGive reports whether the actor may give that at the moment: because it may do so at
// all moments until then.
func (f *facts) mayGive(actor *access.Actor, h holding, moment int) bool {
	own, anything := f.heldBy(actor, h.permission, h.org), f.heldBy(actor, string(access.GrantsAny), h.org)
	writes := false
	for _, w := range systemic[:6] {
		writes = writes || !slices.Contains(f.heldBy(actor, w, h.org)[:moment+1], false)
	}
	for i := range moment + 1 {
		if !own[i] && (f.systemic[h.permission] || !anything[i]) {
			return false
		}
	}
	return writes
}

// isDefault reports whether the holder got that as a newcomer to the organization, who may
// have left it before.
func (f *facts) isDefault(after *facts, h holding) bool {
	return f.members[h.holder] != after.members[h.holder] && (slices.Contains(f.defaults[h.org], h.permission) || slices.Contains(f.business, h.permission))
}

// inputText returns an input as JSON, which shows what references name.
func inputText(in any) string {
	text, _ := json.Marshal(in)
	return string(text)
}
