package directory

import (
	"context"
	"reflect"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// Settings are the settings of the business.
type Settings struct {
	db.Settings
	// DefaultOrganization gets the users who are created without naming one.
	DefaultOrganization *db.Organization
	// DefaultRoles are granted to new members if the organization has no default roles of
	// its own; they are ordered by key.
	DefaultRoles []*db.Role
}

// Settings returns the settings of the business.
func (d *Directory) Settings(ctx context.Context) (*Settings, error) {
	if err := access.Require(ctx, access.SettingsRead); err != nil {
		return nil, err
	}
	return d.SignInSettings(ctx)
}

// SignInSettings is Settings for a person who signs in, and who holds no permission yet:
// it is for package signin, not for what a caller asks to see. It reads the settings as
// they are now, by one statement; the rows of default roles come from memory.
func (d *Directory) SignInSettings(ctx context.Context) (*Settings, error) {
	row, err := db.SelectOne[settingsRow](ctx, d.db, `select s.*, array(select id from roles where is_default and deleted_at is null) as default_roles`+
		list.ColumnsAs[db.Organization](d.db, "o", "organization__", nil)+` from settings s, organizations o where o.is_default`)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errNotSetUp
	}
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	return &Settings{Settings: row.Settings, DefaultOrganization: row.Organization, DefaultRoles: existingRoles(catalogue, row.DefaultRoles)}, nil
}

// settingsRow is the row of settings, and what else belongs to them.
type settingsRow struct {
	db.Settings  `bun:",extend"`
	DefaultRoles []db.RoleID      `bun:",array"`
	Organization *db.Organization `bun:"embed:organization__"`
}

// lockSettings keeps others from changing any of the settings, wherever they are kept.
func (d *Directory) lockSettings(ctx context.Context) error {
	_, err := db.Select[bool](ctx, d.db, "select id from settings for update")
	return err
}

// settingsValues are the values of the settings in the log of changes.
type settingsValues struct {
	db.Settings
	DefaultOrganization db.OrganizationID `json:"defaultOrganization"`
	DefaultRoles        []string          `json:"defaultRoles"`
}

func (s *Settings) values() settingsValues {
	return settingsValues{s.Settings, s.DefaultOrganization.ID, roleKeys(s.DefaultRoles)}
}

// UpdateSettingsInput changes the fields that are set. Only DefaultRoles may be null,
// which means an empty list.
type UpdateSettingsInput struct {
	AllowSelfSignUp, SyncProfilesOnSignIn                                               graphql.Omittable[*bool]
	AllowPasswordSignIn, AllowCodeSignIn, AllowOrganizationSignUp, RememberOrganization graphql.Omittable[*bool]
	MinimumPasswordLength, SessionIdleSeconds, SessionMaximumSeconds                    graphql.Omittable[*int]
	Branding                                                                            graphql.Omittable[*BrandingInput]
	DefaultOrganization                                                                 graphql.Omittable[*OrganizationRef]
	DefaultRoles                                                                        graphql.Omittable[[]*RoleRef]
}

// BrandingInput changes the fields that are set; null empties one. Name must not be
// emptied.
type BrandingInput struct {
	Name, LogoURL, Colour, PrivacyURL, TermsURL graphql.Omittable[*string]
}

// UpdateSettings changes the settings. The default organization must be active, and
// the default roles must contain no system permissions, which every new member would
// have.
func (d *Directory) UpdateSettings(ctx context.Context, in UpdateSettingsInput) (*Settings, error) {
	var settings *Settings
	err := d.change(ctx, access.SettingsWrite, func(ctx context.Context, w *write) error {
		if err := d.lockSettings(ctx); err != nil {
			return err
		}
		var err error
		if settings, err = d.SignInSettings(ctx); err != nil {
			return err
		}
		before := *settings
		w.faults.editSettings(in, &settings.Settings)
		if settings.AllowOrganizationSignUp && !before.AllowOrganizationSignUp {
			if err := d.mayLetFound(ctx, w); err != nil {
				return err
			}
		}
		if err := d.newDefaultOrganization(ctx, w, in.DefaultOrganization, settings); err != nil {
			return err
		}
		allowance, err := d.newDefaultRoles(ctx, w, in.DefaultRoles, settings)
		if err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		return w.updateSettings(ctx, &before, settings, allowance)
	})
	return settings, err
}

// mayLetFound checks that the actor may hand out what those hold who make an organization
// when they sign up.
func (d *Directory) mayLetFound(ctx context.Context, w *write) error {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return err
	}
	role := catalogue.RoleByKey(access.OrganizationAdministrator)
	if role == nil {
		return errNotSetUp
	}
	_, err = d.allow(ctx, w, access.Handout{By: access.SettingsWrite, Items: itemsIn(catalogue, []db.RoleID{role.ID}, nil, nil)})
	return err
}

// newDefaultOrganization locks the organization that is to be the default one,
// together with the present one. Users who name none are then placed there and get its
// default roles, so the actor must be allowed to add members to it, and to hand these out.
func (d *Directory) newDefaultOrganization(ctx context.Context, w *write, value graphql.Omittable[*OrganizationRef], settings *Settings) error {
	const field = "input.defaultOrganization"
	if !value.IsSet() {
		return nil
	}
	if value.Value() == nil {
		w.faults.Add(problem.Invalid, field, "There must be a default organization.")
		return nil
	}
	present := settings.DefaultOrganization.ID.String()
	found, err := d.findOrganizations(ctx, []*OrganizationRef{value.Value(), {ID: &present}}, nil, forChange)
	if err != nil {
		return err
	}
	org := withoutRoot(found)[0]
	switch {
	case org == nil:
		*w.faults.List = append(*w.faults.List, noOrganization(field))
		return nil
	case org.Status != db.Active:
		w.faults.Add(problem.Invalid, field, "The organization is suspended, so it cannot be the default one.")
	case org.ID == settings.DefaultOrganization.ID:
		return nil
	}
	if err := w.mayAddMembers(org); err != nil {
		return err
	}
	settings.DefaultOrganization = org
	roles, err := d.defaultRoles(ctx, []db.OrganizationID{org.ID})
	if err != nil {
		return err
	}
	items, err := d.grantItems(ctx, w, roleIDs(roles[0]), nil, nil)
	if err != nil {
		return err
	}
	_, err = d.allowGrants(ctx, w, access.SettingsWrite, org, items)
	return err
}

// newDefaultRoles locks the roles that are to be the default ones. Making a role a
// default one hands it out everywhere, so the actor must be allowed to hand out the
// new ones.
func (d *Directory) newDefaultRoles(ctx context.Context, w *write, value graphql.Omittable[[]*RoleRef], settings *Settings) (access.Allowance, error) {
	if !value.IsSet() {
		return access.Allowance{}, nil
	}
	roles, err := d.defaultRolesNamed(ctx, w, value.Value())
	if err != nil {
		return access.Allowance{}, err
	}
	added := roleIDs(notYetDefault(roles)) // which settings, read before the lock, may not tell
	items, err := d.grantItems(ctx, w, added, nil, nil)
	if err != nil {
		return access.Allowance{}, err
	}
	w.faults.forNewcomers("input.defaultRoles", permissionsOf(items))
	settings.DefaultRoles = roles
	return d.allow(ctx, w, access.Handout{By: access.SettingsWrite, Items: items})
}

// updateSettings writes what differs, also in the organizations and roles that
// become the default ones, or cease to be.
func (w *write) updateSettings(ctx context.Context, before, after *Settings, by access.Allowance) error {
	old, now := before.values(), after.values()
	if reflect.DeepEqual(old, now) {
		return nil
	}
	if _, err := w.NewUpdate().Model(&after.Settings).WherePK().Exec(ctx); err != nil {
		return err
	}
	if old.DefaultOrganization != now.DefaultOrganization {
		if err := w.switchDefault(ctx, before.DefaultOrganization, after.DefaultOrganization); err != nil {
			return err
		}
	}
	if !slices.Equal(old.DefaultRoles, now.DefaultRoles) {
		var err error
		if after.DefaultRoles, err = w.switchDefaultRoles(ctx, after.DefaultRoles, by); err != nil {
			return err
		}
	}
	return w.Record(changes.SettingsUpdated, changes.SettingsSubject, nil, old, now)
}

// switchDefault makes another organization the default one. For a moment there is no
// default organization: the database would refuse two.
func (w *write) switchDefault(ctx context.Context, from, to *db.Organization) error {
	for _, set := range []struct {
		org       *db.Organization
		isDefault bool
	}{{from, false}, {to, true}} {
		before := *set.org
		set.org.IsDefault, set.org.Version, set.org.UpdatedAt = set.isDefault, set.org.Version+1, w.At
		if _, err := w.NewUpdate().Model(set.org).Column("is_default", "version", "updated_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		if err := w.Record(changes.OrganizationUpdated, set.org.ID.String(), &set.org.ID, before, set.org); err != nil {
			return err
		}
	}
	return nil
}

// switchDefaultRoles makes other roles, and only these, the default ones, and
// returns them ordered by key. The allowance covers the new ones.
func (w *write) switchDefaultRoles(ctx context.Context, to []*db.Role, by access.Allowance) ([]*db.Role, error) {
	if err := covered(by, nil, nil, raw(roleIDs(notYetDefault(to)))...); err != nil {
		return nil, err
	}
	roles := roleIDs(to)
	// In order of id, as roles are locked everywhere.
	if _, err := w.NewRaw("select from roles where is_default <> (id = any(?)) and deleted_at is null order by id for no key update",
		idArray(roles)).Exec(ctx); err != nil {
		return nil, err
	}
	var switched []db.Role
	if _, err := w.NewUpdate().Model((*db.Role)(nil)).
		Set("is_default = not is_default, version = version + 1, updated_at = ?", w.At).
		Where("is_default <> (id = any(?)) and deleted_at is null", idArray(roles)).Returning("*").Exec(ctx, &switched); err != nil {
		return nil, err
	}
	for _, role := range switched {
		before := role
		before.IsDefault = !role.IsDefault
		if err := w.Record(changes.RoleUpdated, role.ID.String(), nil, before, role); err != nil {
			return nil, err
		}
	}
	var now []*db.Role
	err := w.NewSelect().Model(&now).Where("is_default and deleted_at is null").Order("key").Scan(ctx)
	return now, err
}
