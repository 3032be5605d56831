package graph

import (
	"context"

	"roster/db"
	"roster/directory"
	"roster/graph/model"
)

func (r queryResolver) Organization(ctx context.Context, by directory.OrganizationRef) (*db.Organization, error) {
	return r.Directory.Organization(ctx, by, selected(ctx))
}

func (r queryResolver) Organizations(ctx context.Context, first *int, after *string, last *int, before *string,
	filter *directory.OrganizationFilter, orderBy *directory.OrganizationOrder,
) (*model.OrganizationConnection, error) {
	return r.Directory.Organizations(ctx, page(first, after, last, before), filter, orderBy, selectedNodes(ctx))
}

func organizationID(o *db.Organization) db.OrganizationID { return o.ID }

func (r organizationResolver) DefaultRoles(ctx context.Context, orgs []*db.Organization) ([][]*db.Role, error) {
	return r.Directory.DefaultRoles(ctx, mapSlice(orgs, organizationID))
}

func (r organizationResolver) Members(ctx context.Context, orgs []*db.Organization, first *int, after *string, last *int, before *string,
	filter *directory.MemberFilter, orderBy *directory.MemberOrder,
) ([]*model.MembershipConnection, error) {
	return membershipPages(ctx, page(first, after, last, before), func(p directory.MemberPage) ([]*model.MembershipConnection, error) {
		return r.Directory.Members(ctx, mapSlice(orgs, organizationID), p, filter, orderBy)
	})
}

func (r organizationResolver) Member(ctx context.Context, orgs []*db.Organization, user directory.UserRef) ([]*db.Membership, error) {
	places, err := r.MemberKeysInOrganizations(ctx, user, mapSlice(orgs, organizationID))
	if err != nil {
		return nil, err
	}
	return r.loaders.MembersAt(ctx, places)
}

func (r mutationResolver) CreateOrganization(ctx context.Context, input directory.CreateOrganizationInput) (*model.OrganizationPayload, error) {
	return r.payload(ctx).organization(r.Directory.CreateOrganization(ctx, input))
}

func (r mutationResolver) UpdateOrganization(ctx context.Context, input directory.UpdateOrganizationInput) (*model.OrganizationPayload, error) {
	return r.payload(ctx).organization(r.Directory.UpdateOrganization(ctx, input))
}

func (r mutationResolver) SuspendOrganization(ctx context.Context, input directory.OrganizationActionInput) (*model.OrganizationPayload, error) {
	return r.payload(ctx).organization(r.Directory.SuspendOrganization(ctx, input))
}

func (r mutationResolver) RestoreOrganization(ctx context.Context, input directory.OrganizationActionInput) (*model.OrganizationPayload, error) {
	return r.payload(ctx).organization(r.Directory.RestoreOrganization(ctx, input))
}

func (r mutationResolver) DeleteOrganization(ctx context.Context, input directory.OrganizationActionInput) (*model.DeletePayload, error) {
	return r.payload(ctx).deleted(r.Directory.DeleteOrganization(ctx, input))
}
