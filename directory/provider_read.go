package directory

import (
	"context"
	"slices"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/secret"
)

// IdentityProviders returns the providers by which somebody can sign in, ordered by name:
// those that serve everybody and, with an address, those of its domain. Whoever reads the
// settings sees all if there is no address, those that are switched off among them.
func (d *Directory) IdentityProviders(ctx context.Context, email *string) ([]*db.IdentityProvider, error) {
	if email == nil && access.Require(ctx, access.SettingsRead) == nil {
		return pointers(db.Select[db.IdentityProvider](ctx, d.db, "select * from identity_providers order by display_name, key"))
	}
	usable, err := d.ProvidersFor(ctx, textValue(email))
	rows := make([]*db.IdentityProvider, len(usable))
	for i := range usable {
		rows[i] = &usable[i].IdentityProvider
	}
	return rows, err
}

// ProviderClientIDs returns how each of the providers knows this server.
func (d *Directory) ProviderClientIDs(ctx context.Context, rows []*db.IdentityProvider) ([]string, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ClientID
	}
	return ids, access.Require(ctx, access.SettingsRead)
}

// ProviderOrganizations returns the id of the organization that each of the providers
// serves; zero means the business.
func (d *Directory) ProviderOrganizations(ctx context.Context, rows []*db.IdentityProvider) ([]db.OrganizationID, error) {
	ids := make([]db.OrganizationID, len(rows))
	for i, row := range rows {
		if row.OrgID != nil {
			ids[i] = *row.OrgID
		}
	}
	return ids, access.Require(ctx, access.SettingsRead)
}

// ProviderDomains returns the domains whose addresses are sent to each of the providers.
func (d *Directory) ProviderDomains(ctx context.Context, rows []*db.IdentityProvider) ([][]string, error) {
	if err := access.Require(ctx, access.SettingsRead); err != nil {
		return nil, err
	}
	ids := make([]db.ProviderID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	found, err := db.Select[Provider](ctx, d.db, providerText+" where ip.id = any($1)", ids)
	byID := map[db.ProviderID][]string{}
	for i := range found {
		byID[found[i].ID] = found[i].Served
	}
	domains := make([][]string, len(rows))
	for i, id := range ids {
		domains[i] = append([]string{}, byID[id]...)
	}
	return domains, err
}

// Provider is an identity provider, with what package signin needs to know.
type Provider struct {
	db.IdentityProvider `bun:",extend"`
	// Served are the domains whose addresses are sent to it, as things are: an
	// organization may have lost one of its own.
	Served []string `bun:",array"`
}

// Public reports whether everybody may see that one can sign in by the provider.
func (p *Provider) Public() bool { return p.OrgID == nil && len(p.Served) == 0 }

// Serves reports whether addresses of the domain of this one are sent to the provider.
func (p *Provider) Serves(email string) bool {
	return slices.Contains(p.Served, domainOfAddress(email))
}

// providerText selects providers, before the condition.
const providerText = `select ip.*, case when ip.org_id is null then ip.domains else array(
		select d from unnest(o.auto_join_domains) with ordinality own (d, n) where ip.domains = '{}' or d = any(ip.domains) order by n) end as served
	from identity_providers ip left join organizations o on o.id = ip.org_id`

// usableText is the condition on providers that let people in.
const usableText = " where ip.enabled and (ip.org_id is null or o.status = 'ACTIVE' and o.deleted_at is null)"

// ProvidersFor returns the providers by which somebody with that address, or with none that
// is known, can sign in, ordered by name.
func (d *Directory) ProvidersFor(ctx context.Context, email string) ([]Provider, error) {
	if tooLarge(email, maxEmail) || !db.Storable(email) {
		email = ""
	}
	rows, err := db.Select[Provider](ctx, d.db, "select * from ("+providerText+usableText+") ip where org_id is null and served = '{}' or $1 = any(served) order by display_name, key",
		domainOfAddress(email))
	return rows, err
}

// BoundProviders reports whether there are providers that let people of some domains in.
func (d *Directory) BoundProviders(ctx context.Context) (bool, error) {
	found, err := db.SelectOne[bool](ctx, d.db, "select true from ("+providerText+usableText+") ip where served <> '{}' limit 1")
	return found != nil, err
}

// UsableProvider returns the provider with that key, or nil if it does not exist or lets
// nobody in.
func (d *Directory) UsableProvider(ctx context.Context, key string) (*Provider, error) {
	if len(key) > maxProviderKey || !db.Storable(key) {
		return nil, nil
	}
	return db.SelectOne[Provider](ctx, d.db, providerText+usableText+" and ip.key = $1", key)
}

// UsableProviders returns which of the providers let people in.
func (d *Directory) UsableProviders(ctx context.Context, ids []db.ProviderID) ([]db.ProviderID, error) {
	return db.Select[db.ProviderID](ctx, d.db, "select id from ("+providerText+usableText+" and ip.id = any($1)) ip", ids)
}

// ProviderSecret returns the secret by which this server shows a provider who it is.
func (d *Directory) ProviderSecret(p *Provider) (secret.Text, error) {
	plain, err := d.providerRules.Keyring.Open(secretPurpose(p.ID), p.ClientSecret)
	return secret.New(string(plain)), err
}

// ResealProviders seals the secrets of providers by the present key of the keyring, so that
// older ones can be taken away. A secret that no key opens is left, and the log says so: it
// has to be entered again.
func (d *Directory) ResealProviders(ctx context.Context) error {
	ring := d.providerRules.Keyring
	return d.Writer.Atomically(ctx, func(ctx context.Context) error {
		rows, err := db.Select[Provider](ctx, d.db, "select * from identity_providers order by id for no key update")
		if err != nil {
			return err
		}
		for i := range rows {
			row := &rows[i]
			if ring.Current(row.ClientSecret) {
				continue
			}
			plain, err := d.ProviderSecret(row)
			if err != nil {
				d.log.WarnContext(ctx, "the secret of an identity provider cannot be read: enter it again", "provider", row.Key, "cause", err)
				continue
			}
			row.ClientSecret = ring.Seal(secretPurpose(row.ID), []byte(plain.Reveal()))
			if _, err := d.Writer.Unrecorded(ctx).NewUpdate().Model(&row.IdentityProvider).Column("client_secret").WherePK().Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// visibleProviders returns the conditions on providers that are found by their id: whoever
// reads the settings sees all.
func visibleProviders(ctx context.Context) ([]list.Clause, error) {
	return nil, access.Require(ctx, access.SettingsRead)
}
