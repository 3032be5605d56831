package graph

import (
	"context"

	"roster/db/list"
	"roster/directory"
	"roster/graph/execute"
	"roster/graph/generated"
	"roster/loaders"
	"roster/signin"
	"roster/transfer"
)

//go:generate go run ./generate

// resolver resolves every field that is not just read from its parent.
type resolver struct {
	*directory.Directory
	signIn   *signin.Service
	transfer *transfer.Service
	loaders  loaders.Loaders
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
	applicationResolver      struct{ *resolver }
	changeResolver           struct{ *resolver }
	impactResolver           struct{ *resolver }
	importResolver           struct{ *resolver }
	importRowResolver        struct{ *resolver }
	permissionChangeResolver struct{ *resolver }
	explanationResolver      struct{ *resolver }
	invitationResolver       struct{ *resolver }
	sessionResolver          struct{ *resolver }
	signInResolver           struct{ *resolver }
	signInStepResolver       struct{ *resolver }
	accessTokenResolver      struct{ *resolver }
	identityProviderResolver struct{ *resolver }
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
func (r *resolver) ApiKey() generated.ApiKeyResolver           { return apiKeyResolver{r} }
func (r *resolver) Application() generated.ApplicationResolver { return applicationResolver{r} }
func (r *resolver) Change() generated.ChangeResolver           { return changeResolver{r} }
func (r *resolver) Impact() generated.ImpactResolver           { return impactResolver{r} }
func (r *resolver) Import() generated.ImportResolver           { return importResolver{r} }
func (r *resolver) ImportRow() generated.ImportRowResolver     { return importRowResolver{r} }
func (r *resolver) Explanation() generated.ExplanationResolver { return explanationResolver{r} }
func (r *resolver) Invitation() generated.InvitationResolver   { return invitationResolver{r} }
func (r *resolver) Session() generated.SessionResolver         { return sessionResolver{r} }
func (r *resolver) SignIn() generated.SignInResolver           { return signInResolver{r} }
func (r *resolver) SignInStep() generated.SignInStepResolver   { return signInStepResolver{r} }
func (r *resolver) AccessToken() generated.AccessTokenResolver { return accessTokenResolver{r} }
func (r *resolver) IdentityProvider() generated.IdentityProviderResolver {
	return identityProviderResolver{r}
}
func (r *resolver) PermissionChange() generated.PermissionChangeResolver {
	return permissionChangeResolver{r}
}

// selected returns the fields that the client asks for of a resolver's result.
func selected(ctx context.Context) list.Fields { return fieldNames(execute.Selection(ctx)) }

// selectedNodes returns the fields that the client asks for of a connection's nodes.
func selectedNodes(ctx context.Context) list.Fields {
	return fieldNames(execute.Selection(ctx).Node())
}

func fieldNames(s execute.Selected) list.Fields {
	fields := list.Fields{}
	for _, f := range s.Fields() {
		fields = append(fields, f.Name)
	}
	return fields
}

// page returns the arguments of a connection as one value.
func page(first *int, after *string, last *int, before *string) list.Page {
	return list.Page{First: first, After: after, Last: last, Before: before}
}

// mapSlice returns the results of f for all elements.
func mapSlice[T, R any](all []T, f func(T) R) []R {
	results := make([]R, len(all))
	for i, one := range all {
		results[i] = f(one)
	}
	return results
}
