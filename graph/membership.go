package graph

import (
	"context"
	"time"

	"roster/db"
	"roster/db/list"
	"roster/directory"
	"roster/graph/execute"
	"roster/graph/model"
	"roster/loaders"
)

// membershipPages reads pages of memberships and, with them, the users and
// organizations that the client selects below.
func membershipPages(ctx context.Context, page list.Page, read func(directory.MemberPage) ([]*model.MembershipConnection, error)) ([]*model.MembershipConnection, error) {
	p := directory.MemberPage{Page: page}
	if !loaders.HasMemory(ctx) {
		return read(p)
	}
	node := execute.Selection(ctx).Node()
	p.With = &directory.Related{}
	if node.Has("user") {
		p.With.UserFields = fieldNames(node.At("user"))
	}
	if node.Has("organization") {
		p.With.OrganizationFields = fieldNames(node.At("organization"))
	}
	pages, err := read(p)
	loaders.Remember(ctx, p.With)
	return pages, err
}

func (r membershipResolver) User(ctx context.Context, members []*db.Membership) ([]*db.User, error) {
	return r.loaders.Users(ctx, mapSlice(members, func(m *db.Membership) db.UserID { return m.UserID }), selected(ctx))
}

func (r membershipResolver) Organization(ctx context.Context, members []*db.Membership) ([]*db.Organization, error) {
	return r.loaders.Organizations(ctx, mapSlice(members, func(m *db.Membership) db.OrganizationID { return m.OrgID }), selected(ctx))
}

func (r membershipResolver) Roles(ctx context.Context, members []*db.Membership) ([][]*db.Role, error) {
	return r.HeldRoles(ctx, members)
}

func (r membershipResolver) Grants(ctx context.Context, members []*db.Membership, includeEnded bool) ([][]directory.Grant, error) {
	return r.Directory.Grants(ctx, members, includeEnded)
}

func (r membershipResolver) EffectivePermissions(ctx context.Context, members []*db.Membership, asOf *time.Time) ([][]*directory.EffectivePermission, error) {
	return r.Directory.EffectivePermissions(ctx, members, asOf)
}

func (r membershipResolver) Can(ctx context.Context, members []*db.Membership, permission string) ([]bool, error) {
	return r.CanMembers(ctx, members, permission)
}

func (r membershipResolver) Explain(ctx context.Context, members []*db.Membership, permission string) ([]*directory.Explanation, error) {
	return r.ExplainMembers(ctx, members, permission)
}

func (r mutationResolver) AddMembers(ctx context.Context, input directory.AddMembersInput) (*model.MembershipsPayload, error) {
	return r.payload(ctx).memberships(r.Directory.AddMembers(ctx, input))
}

func (r mutationResolver) RemoveMembers(ctx context.Context, input directory.RemoveMembersInput) (*model.DeletePayload, error) {
	return r.payload(ctx).deleted(r.Directory.RemoveMembers(ctx, input))
}

func (r mutationResolver) MoveMember(ctx context.Context, input directory.MoveMemberInput) (*model.MembershipPayload, error) {
	return r.payload(ctx).membership(r.Directory.MoveMember(ctx, input))
}

func (r mutationResolver) SuspendMember(ctx context.Context, input directory.MemberActionInput) (*model.MembershipPayload, error) {
	return r.payload(ctx).membership(r.Directory.SuspendMember(ctx, input))
}

func (r mutationResolver) RestoreMember(ctx context.Context, input directory.MemberActionInput) (*model.MembershipPayload, error) {
	return r.payload(ctx).membership(r.Directory.RestoreMember(ctx, input))
}

func (r explanationResolver) RolesThatWouldAllow(ctx context.Context, explanations []*directory.Explanation) ([][]*db.Role, error) {
	return r.Directory.RolesThatWouldAllow(ctx, explanations)
}
