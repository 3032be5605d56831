package directory

import (
	"context"
	"reflect"
	"slices"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
	"roster/provider"
	"roster/secret"
)

// ProviderRules are what identity providers are held to by what else there is.
type ProviderRules struct {
	// Keyring seals the secrets of providers.
	Keyring *secret.Keyring
	// Development lets providers be on this machine.
	Development bool
}

// SetProviderRules sets the rules for identity providers. Call it before the first request.
func (d *Directory) SetProviderRules(r ProviderRules) { d.providerRules = r }

// ReserveProviderKeys keeps providers from having these keys, which mean something else in
// an address. Call it before the first request.
func (d *Directory) ReserveProviderKeys(keys ...string) {
	d.reservedKeys = distinct(append(slices.Clone(d.reservedKeys), keys...))
}

// The longest texts of a provider, in characters.
const (
	maxProviderKey  = 40
	maxClientID     = 300
	maxClientSecret = 2000
)

// CreateIdentityProviderInput describes a new identity provider.
type CreateIdentityProviderInput struct {
	Key  string
	Kind db.IdentityProviderKind
	// DisplayName is what people read; nil means the name of its kind, or the key.
	DisplayName *string
	// Issuer and Tenant say where it is; see provider.IssuerOf.
	Issuer, Tenant         *string
	ClientID, ClientSecret string
	// Organization is the one that it serves; nil means the business.
	Organization          *OrganizationRef
	Domains               []string
	Trusted, SyncProfiles *bool
}

// CreateIdentityProvider adds an identity provider. To name domains, which makes its word on
// their addresses count, the actor must also write the organizations of the business; a
// provider of an organization can have only domains of the organization. To trust one of the
// business, the actor must hold all permissions of Roster.
func (d *Directory) CreateIdentityProvider(ctx context.Context, in CreateIdentityProviderInput) (*db.IdentityProvider, error) {
	var row *db.IdentityProvider
	err := d.change(ctx, access.SettingsWrite, func(ctx context.Context, w *write) error {
		row = w.faults.newProvider(d, in)
		row.CreatedAt, row.UpdatedAt, row.ClientSecretSetAt = w.At, w.At, w.At
		d.sealSecret(w, row, in.ClientSecret)
		var org *db.Organization
		if in.Organization != nil {
			var err error
			if org, err = d.lockOrganization(ctx, w, access.SettingsWrite, *in.Organization, "input.organization"); err != nil {
				return err
			}
			if org != nil {
				row.OrgID = &org.ID
			}
		}
		if err := w.providerDomains(row, org, in.Domains); err != nil {
			return err
		}
		w.mayTrust(&db.IdentityProvider{}, row)
		taken, err := db.SelectOne[bool](ctx, d.db, "select true from identity_providers where key = $1", row.Key)
		if err != nil {
			return err
		}
		if taken != nil {
			*w.faults.List = append(*w.faults.List, db.Refused("identity_providers_key"))
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		if _, err := w.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.IdentityProviderCreated, row.ID.String(), row.OrgID, nil, row)
	})
	return row, err
}

// newProvider returns the row of a new provider, without its secret and its domains.
func (f *faults) newProvider(d *Directory, in CreateIdentityProviderInput) *db.IdentityProvider {
	row := &db.IdentityProvider{
		ID: db.NewID[db.ProviderKind](), Key: f.providerKey(d, in.Key), Kind: in.Kind, ClientID: f.clientID(&in.ClientID),
		Domains: []string{}, SyncProfiles: in.SyncProfiles, Trusted: in.Trusted != nil && *in.Trusted, Enabled: true,
	}
	issuer, err := provider.IssuerOf(in.Kind, in.Issuer, in.Tenant, d.providerRules.Development)
	if refused := problem.All(err); len(refused) > 0 {
		*f.List = append(*f.List, refused...)
	}
	row.Issuer = issuer
	name := f.text("input.displayName", in.DisplayName, maxName)
	if name == nil {
		name = &row.Key
		if known, ok := providerNames[in.Kind]; ok {
			name = &known
		}
	}
	row.DisplayName = *name
	return row
}

// providerNames are the names by which people know providers.
var providerNames = map[db.IdentityProviderKind]string{db.GoogleProvider: "Google", db.MicrosoftProvider: "Microsoft"}

// providerKey checks the key of a provider, which is a part of its addresses.
func (f *faults) providerKey(d *Directory, key string) string {
	const field = "input.key"
	switch {
	case len(key) > maxProviderKey || !codePattern.MatchString(key):
		f.Add(problem.Invalid, field, "A key has 1 to %d characters of a-z 0-9 -, with letters or digits at both ends.", maxProviderKey)
		return ""
	case slices.Contains(d.reservedKeys, key):
		f.Add(problem.Invalid, field, "%q has another meaning in addresses. Choose another key.", key)
	}
	return key
}

// clientID checks how a provider knows this server.
func (f *faults) clientID(value *string) string {
	clean := f.text("input.clientId", value, maxClientID)
	if clean == nil {
		f.Add(problem.Invalid, "input.clientId", "Must not be empty.")
		return ""
	}
	return *clean
}

// secretPurpose is what the secret of a provider is sealed for: no other provider's is taken
// for it.
func secretPurpose(id db.ProviderID) string { return "secret of identity provider " + id.String() }

// sealSecret puts the secret into the row.
func (d *Directory) sealSecret(w *write, row *db.IdentityProvider, text string) {
	if text == "" || len(text) > maxClientSecret {
		w.faults.Add(problem.Invalid, "input.clientSecret", "The secret has 1 to %d characters.", maxClientSecret)
		return
	}
	row.ClientSecret, row.ClientSecretSetAt = d.providerRules.Keyring.Seal(secretPurpose(row.ID), []byte(text)), w.At
}

// providerDomains sets the domains of a provider; org is its organization, or nil.
func (w *write) providerDomains(row *db.IdentityProvider, org *db.Organization, values []string) error {
	row.Domains = w.faults.domains("input.domains", values)
	if len(row.Domains) == 0 {
		return nil
	}
	if !w.actor.HoldsEverywhere(access.OrganizationsWrite) {
		return access.Forbidden(access.OrganizationsWrite)
	}
	for i, value := range values {
		if domain, ok := domainOf(value); ok && org != nil && !slices.Contains(org.AutoJoinDomains, domain) {
			w.faults.Add(problem.Invalid, "input.domains."+strconv.Itoa(i), "The organization does not have this domain (autoJoinDomains).")
		}
	}
	return nil
}

// UpdateIdentityProviderInput changes the fields that are set. SyncProfiles may be null, and
// so may Domains, which means none.
type UpdateIdentityProviderInput struct {
	Provider                            string
	DisplayName, ClientID, ClientSecret graphql.Omittable[*string]
	Domains                             graphql.Omittable[[]string]
	Trusted, SyncProfiles, Enabled      graphql.Omittable[*bool]
}

// UpdateIdentityProvider changes an identity provider. What it is, and whom it serves, stays.
// To trust one of the business, the actor must hold all permissions of Roster.
func (d *Directory) UpdateIdentityProvider(ctx context.Context, in UpdateIdentityProviderInput) (*db.IdentityProvider, error) {
	return d.changeProvider(ctx, in.Provider, func(ctx context.Context, w *write, row *db.IdentityProvider) error {
		f, before := &w.faults, *row
		if in.DisplayName.IsSet() {
			row.DisplayName = f.name("input.displayName", textValue(in.DisplayName.Value()))
		}
		if in.ClientID.IsSet() {
			row.ClientID = f.clientID(in.ClientID.Value())
		}
		if in.ClientSecret.IsSet() {
			d.sealSecret(w, row, textValue(in.ClientSecret.Value()))
		}
		f.flag("input.trusted", in.Trusted, &row.Trusted)
		f.flag("input.enabled", in.Enabled, &row.Enabled)
		if in.SyncProfiles.IsSet() {
			row.SyncProfiles = in.SyncProfiles.Value()
		}
		if in.Domains.IsSet() {
			var org *db.Organization
			if row.OrgID != nil {
				var err error
				if org, err = db.SelectOne[db.Organization](ctx, d.db, "select * from organizations where id = $1", *row.OrgID); err != nil {
					return err
				}
			}
			if err := w.providerDomains(row, org, in.Domains.Value()); err != nil {
				return err
			}
		}
		w.mayTrust(&before, row)
		return nil
	})
}

// mayTrust adds the fault FORBIDDEN if the word of a provider of the business counts for more
// than before, and the actor is no administrator of it: it opens accounts that nobody has
// signed in to yet, those of administrators too.
func (w *write) mayTrust(before, after *db.IdentityProvider) {
	if after.OrgID != nil || !after.Trusted || !after.Enabled {
		return
	}
	field := ""
	switch {
	case !before.Trusted:
		field = "input.trusted"
	case !before.Enabled:
		field = "input.enabled"
	case speaksForMore(before, after):
		field = "input.domains"
	default:
		return
	}
	for _, p := range access.SystemPermissions {
		if !w.actor.HoldsEverywhere(p.Key) {
			w.faults.Add(problem.Forbidden, field, "A trusted provider opens accounts that nobody has signed in to, those of administrators too. So it needs all permissions of Roster, and you lack %s.", p.Key)
			return
		}
	}
}

// speaksForMore reports whether there are addresses on which a provider's word counts by its
// domains after, and did not before. Google and Microsoft speak for all without any domains,
// and others for none.
func speaksForMore(before, after *db.IdentityProvider) bool {
	forAll := func(p *db.IdentityProvider) bool { return len(p.Domains) == 0 && p.Kind != db.OIDCProvider }
	return !forAll(before) && (forAll(after) || !isSubset(after.Domains, before.Domains))
}

// changeProvider calls edit to change a provider's row, and records it. If there is no such
// provider, edit gets an empty row, so that the rest of the input is checked as well.
func (d *Directory) changeProvider(ctx context.Context, id string, edit func(ctx context.Context, w *write, row *db.IdentityProvider) error) (*db.IdentityProvider, error) {
	var row *db.IdentityProvider
	err := d.change(ctx, access.SettingsWrite, func(ctx context.Context, w *write) (err error) {
		if row, err = d.lockProvider(ctx, w, id); err != nil {
			return err
		}
		if row == nil {
			row = &db.IdentityProvider{}
		}
		before := *row
		if err := edit(ctx, w, row); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil || reflect.DeepEqual(before, *row) {
			return err
		}
		row.UpdatedAt = w.At
		if _, err := w.NewUpdate().Model(row).WherePK().Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.IdentityProviderUpdated, row.ID.String(), row.OrgID, before, row)
	})
	return row, err
}

// lockProvider returns the provider, locked. If it does not exist, lockProvider returns nil
// and adds a fault.
func (d *Directory) lockProvider(ctx context.Context, w *write, text string) (row *db.IdentityProvider, err error) {
	id, err := db.ParseID[db.ProviderKind](text)
	if err == nil {
		// The organization first, as whoever deletes it locks them.
		if _, err := db.Select[bool](ctx, d.db, "select true from organizations where id = (select org_id from identity_providers where id = $1) "+forMembers, id); err != nil {
			return nil, err
		}
		if row, err = db.SelectOne[db.IdentityProvider](ctx, d.db, "select * from identity_providers where id = $1 for no key update", id); err != nil {
			return nil, err
		}
	}
	if row == nil {
		w.faults.Add(problem.NotFound, "input.provider", "There is no such identity provider.")
	}
	return row, nil
}

// IdentityProviderActionInput names the provider to act upon.
type IdentityProviderActionInput struct{ Provider string }

// DeleteIdentityProvider takes an identity provider away. The identities of its people stay,
// and let nobody in: they work again if a provider with the same issuer is set up.
func (d *Directory) DeleteIdentityProvider(ctx context.Context, in IdentityProviderActionInput) ([]string, error) {
	var id string
	err := d.change(ctx, access.SettingsWrite, func(ctx context.Context, w *write) error {
		row, err := d.lockProvider(ctx, w, in.Provider)
		if row == nil || err != nil {
			return err
		}
		id = row.ID.String()
		return w.deleteProviders(ctx, "id = ?", row.ID)
	})
	return []string{id}, err
}

// deleteProviders deletes the providers that the condition selects, and records it.
func (w *write) deleteProviders(ctx context.Context, condition string, arg any) error {
	var deleted []db.IdentityProvider
	if _, err := w.NewDelete().Model((*db.IdentityProvider)(nil)).Where(condition, arg).Returning("*").Exec(ctx, &deleted); err != nil {
		return err
	}
	for i := range deleted {
		if err := w.Record(changes.IdentityProviderDeleted, deleted[i].ID.String(), deleted[i].OrgID, &deleted[i], nil); err != nil {
			return err
		}
	}
	return nil
}
