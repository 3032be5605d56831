// Package graph speaks GraphQL: resolvers, one file for each concept, and the
// handler which answers requests. A resolver asks the directory and no more;
// below the root it is asked for all parents of its level at once.
package graph

import (
	"context"

	"roster/db/list"
	"roster/directory"
	"roster/graph/execute"
	"roster/graph/generated"
	"roster/loaders"
)

//go:generate go run ./generate

// resolver resolves every field that is not simply read from its parent.
type resolver struct {
	*directory.Directory
	loaders loaders.Loaders
}

type (
	queryResolver            struct{ *resolver }
	mutationResolver         struct{ *resolver }
	viewerResolver           struct{ *resolver }
	userResolver             struct{ *resolver }
	organizationResolver     struct{ *resolver }
	membershipResolver       struct{ *resolver }
	roleResolver             struct{ *resolver }
	permissionResolver       struct{ *resolver }
	roleGrantResolver        struct{ *resolver }
	permissionGrantResolver  struct{ *resolver }
	apiKeyResolver           struct{ *resolver }
	changeResolver           struct{ *resolver }
	impactResolver           struct{ *resolver }
	permissionChangeResolver struct{ *resolver }
)

func (r *resolver) Query() generated.QueryResolver               { return queryResolver{r} }
func (r *resolver) Mutation() generated.MutationResolver         { return mutationResolver{r} }
func (r *resolver) Viewer() generated.ViewerResolver             { return viewerResolver{r} }
func (r *resolver) User() generated.UserResolver                 { return userResolver{r} }
func (r *resolver) Organization() generated.OrganizationResolver { return organizationResolver{r} }
func (r *resolver) Membership() generated.MembershipResolver     { return membershipResolver{r} }
func (r *resolver) Role() generated.RoleResolver                 { return roleResolver{r} }
func (r *resolver) Permission() generated.PermissionResolver     { return permissionResolver{r} }
func (r *resolver) RoleGrant() generated.RoleGrantResolver       { return roleGrantResolver{r} }
func (r *resolver) PermissionGrant() generated.PermissionGrantResolver {
	return permissionGrantResolver{r}
}
func (r *resolver) ApiKey() generated.ApiKeyResolver { return apiKeyResolver{r} }
func (r *resolver) Change() generated.ChangeResolver { return changeResolver{r} }
func (r *resolver) Impact() generated.ImpactResolver { return impactResolver{r} }
func (r *resolver) PermissionChange() generated.PermissionChangeResolver {
	return permissionChangeResolver{r}
}

// selected gives the fields that are asked for of what a resolver is to return.
func selected(ctx context.Context) list.Fields { return names(execute.Selection(ctx)) }

// selectedNodes gives the fields that are asked for of the nodes of a
// connection.
func selectedNodes(ctx context.Context) list.Fields { return names(execute.Selection(ctx).Node()) }

func names(s execute.Selected) list.Fields {
	fields := list.Fields{}
	for _, f := range s.Fields() {
		fields = append(fields, f.Name)
	}
	return fields
}

// page gathers the arguments of a connection.
func page(first *int, after *string, last *int, before *string) list.Page {
	return list.Page{First: first, After: after, Last: last, Before: before}
}

// each gives what of says of every element.
func each[T, R any](all []T, of func(T) R) []R {
	results := make([]R, len(all))
	for i, one := range all {
		results[i] = of(one)
	}
	return results
}
