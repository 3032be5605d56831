package directory

import (
	"reflect"
	"slices"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
)

// ownMutations lock only the person who is signed in, or what one person has: two of them
// wait for one another in no circle, whatever else they name. An export locks nothing.
var ownMutations = []string{"switchOrganization", "leaveOrganization", "signOut", "endSession", "unlinkIdentity", "requestEmailChange", "requestPasswordReset", "exportUsers",
	"planImport", "applyImport", "cancelImport", "undoImport"}

// Each reference in the input of a mutation is foreseen: a reference of which LockAhead
// knows nothing is locked out of order.
func TestForesightIsComplete(t *testing.T) {
	t.Parallel()
	inputs := map[string]any{
		"createUser": CreateUserInput{}, "createUsers": CreateUsersInput{}, "updateUser": UpdateUserInput{}, "suspendUser": UserActionInput{}, "restoreUser": UserActionInput{}, "deleteUser": UserActionInput{}, "offboardUser": OffboardUserInput{},
		"createOrganization": CreateOrganizationInput{}, "updateOrganization": UpdateOrganizationInput{},
		"suspendOrganization": OrganizationActionInput{}, "restoreOrganization": OrganizationActionInput{}, "deleteOrganization": OrganizationActionInput{},
		"addMembers": AddMembersInput{}, "removeMembers": RemoveMembersInput{}, "moveMember": MoveMemberInput{}, "suspendMember": MemberActionInput{}, "restoreMember": MemberActionInput{},
		"grantRoles": GrantRolesInput{}, "revokeRoles": RevokeRolesInput{}, "grantPermissions": GrantPermissionsInput{}, "revokePermissions": RevokePermissionsInput{},
		"invite": InviteInput{}, "resendInvitation": InvitationActionInput{}, "revokeInvitation": InvitationActionInput{},
		"createPermission": CreatePermissionInput{}, "updatePermission": UpdatePermissionInput{}, "deletePermission": PermissionActionInput{},
		"createRole": CreateRoleInput{}, "updateRole": UpdateRoleInput{}, "deleteRole": RoleActionInput{},
		"addRolePermissions": RolePermissionsInput{}, "removeRolePermissions": RolePermissionsInput{},
		"createIdentityProvider": CreateIdentityProviderInput{}, "updateIdentityProvider": UpdateIdentityProviderInput{}, "deleteIdentityProvider": IdentityProviderActionInput{},
		"updateSettings": UpdateSettingsInput{}, "updateViewer": UpdateViewerInput{}, "createApiKey": CreateAPIKeyInput{}, "revokeApiKey": APIKeyActionInput{}, "adoptApiKey": APIKeyActionInput{},
		"createApplication": CreateApplicationInput{}, "updateApplication": UpdateApplicationInput{}, "deleteApplication": ApplicationActionInput{},
	}
	for name := range foresight {
		if _, known := inputs[name]; known == slices.Contains(ownMutations, name) {
			t.Errorf("%s is not tested", name)
		}
	}
	for name, empty := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := reflect.New(reflect.TypeOf(empty)).Elem()
			want := map[any]string{}
			for i := range input.NumField() {
				fill(input.Field(i), input.Type().Field(i).Name, want)
			}
			var n names
			foresight[name](&n, input.Interface())
			for _, look := range slices.Concat(n.users, n.organizations.share, n.organizations.change, n.roles.share, n.roles.change, n.permissions.share, n.permissions.change) {
				delete(want, look.value)
			}
			for _, key := range n.keys {
				delete(want, key)
			}
			if len(want) > 0 {
				t.Errorf("of the input, these are not foreseen: %v", want)
			}
		})
	}
}

// fill sets a field, if it is a reference or has some, to a new id, which it adds to want.
func fill(field reflect.Value, name string, want map[any]string) {
	switch ref := field.Addr().Interface().(type) {
	case *CreateUserInput:
		for i := range field.NumField() {
			fill(field.Field(i), field.Type().Field(i).Name, want)
		}
	case *UserRef:
		ref.ID = newText[db.UserKind](name, want)
	case *OrganizationRef:
		ref.ID = newText[db.OrganizationKind](name, want)
	case *RoleRef:
		ref.ID = newText[db.RoleKind](name, want)
	case *PermissionRef:
		ref.ID = newText[db.PermissionKind](name, want)
	case *string:
		if name == "APIKey" {
			*ref = *newText[db.APIKeyKind](name, want)
		}
		if name == "Application" { // which is locked by what it may do
			id := db.NewID[db.ClientKind]()
			want[db.APIKeyID(id)], *ref = name, id.String()
		}
	case *graphql.Omittable[*OrganizationRef]:
		*ref = graphql.OmittableOf(&OrganizationRef{ID: newText[db.OrganizationKind](name, want)})
	case *graphql.Omittable[[]*RoleRef]:
		*ref = graphql.OmittableOf([]*RoleRef{{ID: newText[db.RoleKind](name, want)}})
	case *graphql.Omittable[[]*PermissionRef]:
		*ref = graphql.OmittableOf([]*PermissionRef{{ID: newText[db.PermissionKind](name, want)}})
	default:
		switch {
		case field.Kind() == reflect.Pointer && field.Type().Elem().Kind() == reflect.Struct:
			field.Set(reflect.New(field.Type().Elem()))
			fill(field.Elem(), name, want)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Pointer:
			field.Set(reflect.MakeSlice(field.Type(), 2, 2))
			fill(field.Index(0), name, want)
			fill(field.Index(1), name, want)
		}
	}
}

func newText[K db.Kind](name string, want map[any]string) *string {
	id := db.NewID[K]()
	want[id] = name
	return new(id.String())
}
