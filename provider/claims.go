package provider

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"roster/db"
)

// algorithms are those by which ID tokens may be signed (RFC 7518): never "none", and none
// whose key both sides have.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// Profile is whom a provider has signed in. Texts may be empty, except Issuer and Subject,
// and are as the provider has written them.
type Profile struct {
	// Issuer and Subject identify the person, and nothing else does. For Microsoft, the
	// issuer has the id of the tenant, and the subject is the id of the object there.
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Email   string `json:"email,omitempty"`
	// Vouched is true if the provider is in a position to know that the address is the
	// person's. Of a provider of the kind OIDC, that is so for domains that are its own.
	Vouched    bool   `json:"vouched,omitempty"`
	Name       string `json:"name,omitempty"`
	GivenName  string `json:"givenName,omitempty"`
	FamilyName string `json:"familyName,omitempty"`
	PictureURL string `json:"pictureUrl,omitempty"`
}

// claims are what an ID token says.
type claims struct {
	// Issuer and Subject become a Profile's.
	Issuer  string `json:"-"`
	Subject string `json:"-"`
	personal

	AuthorizedParty string `json:"azp"`
	// HostedDomain is Google's: the domain of the customer who manages the account.
	HostedDomain string `json:"hd"`
	// TenantID and ObjectID are Microsoft's, and so is DomainOwnerVerified: whether the
	// domain of the address belongs to the tenant.
	TenantID            string `json:"tid"`
	ObjectID            string `json:"oid"`
	DomainOwnerVerified *truth `json:"xms_edov"`
}

// personal is what a provider says of a person (OpenID Connect Core, 5.1).
type personal struct {
	Email         string `json:"email"`
	EmailVerified *truth `json:"email_verified"`
	Name          string `json:"name"`
	GivenName     string `json:"given_name"`
	FamilyName    string `json:"family_name"`
	Picture       string `json:"picture"`
}

// truth is a claim that is true or false. Some providers write it as a text or a number.
type truth bool

// UnmarshalJSON takes true, "true", "1" and 1 for true, and everything else for false.
func (t *truth) UnmarshalJSON(text []byte) error {
	*t = truth(slices.Contains([]string{"true", `"true"`, `"1"`, "1"}, string(text)))
	return nil
}

func (t *truth) is() bool { return t != nil && bool(*t) }

// tenantPlace stands for the id of the tenant in the issuer of a Microsoft provider that
// serves many.
const tenantPlace = "{tenantid}"

// issuerPattern returns how the provider names itself.
func (c *Config) issuerPattern() string {
	if c.Kind != db.MicrosoftProvider {
		return c.Issuer
	}
	for _, many := range []string{db.AnyOrganization, db.AnyAccount} {
		if before, ok := strings.CutSuffix(c.Issuer, "/"+many+"/v2.0"); ok {
			return before + "/" + tenantPlace + "/v2.0"
		}
	}
	return c.Issuer
}

// issuerOf returns the issuer whom the token has to name.
func (c *claims) issuerOf(of *Config) (string, error) {
	issuer := strings.Replace(of.issuerPattern(), tenantPlace, c.TenantID, 1)
	if of.Kind == db.MicrosoftProvider && (!tenantPattern.MatchString(c.TenantID) || !strings.HasSuffix(issuer, "/"+c.TenantID+"/v2.0")) {
		return "", fmt.Errorf("the token is of the tenant %q", c.TenantID)
	}
	return issuer, nil
}

// The longest subject, in bytes (OpenID Connect Core, 2), and how far the clock of a provider
// may be ahead.
const (
	maxSubject = 255
	leeway     = 5 * time.Minute
)

// googleIssuer is what Google's tokens name without the scheme at times.
const googleIssuer = "https://accounts.google.com"

// check returns the claims of an ID token whose signature, audience and expiry are right,
// if the rest is: it is of this provider, for this client alone, made for this trip, and
// speaks of somebody.
func (c *Client) check(id *oidc.IDToken, of *Config, trip Trip) (*claims, error) {
	var all claims
	if err := id.Claims(&all); err != nil {
		return nil, err
	}
	issuer, err := all.issuerOf(of)
	if err != nil {
		return nil, err
	}
	named := id.Issuer
	if of.Kind == db.GoogleProvider && "https://"+named == googleIssuer {
		named = googleIssuer
	}
	all.Issuer, all.Subject = issuer, id.Subject
	if of.Kind == db.MicrosoftProvider {
		all.Subject = all.ObjectID
	}
	switch {
	case named != issuer:
		return nil, fmt.Errorf("the token is of %q, not of %q", named, issuer)
	case all.AuthorizedParty != "" && all.AuthorizedParty != of.ClientID:
		return nil, fmt.Errorf("the token is for %q", all.AuthorizedParty)
	case all.AuthorizedParty == "" && len(id.Audience) > 1:
		return nil, errors.New("the token is for several clients, and does not say for which of them")
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(trip.Nonce)) == 0:
		return nil, errors.New("the token was made for another sign-in")
	case id.IssuedAt.Unix() <= 0 || id.IssuedAt.After(c.clock().Add(leeway)):
		return nil, errors.New("the token was not made before now")
	case !isSubject(all.Subject):
		return nil, errors.New("the token names nobody")
	}
	return &all, nil
}

// isSubject reports whether somebody can be named so.
func isSubject(text string) bool { return text != "" && len(text) <= maxSubject && db.Storable(text) }

// profile returns what the claims say, as far as this kind of provider can know it.
func (c *claims) profile(of *Config) *Profile {
	return &Profile{
		Issuer: c.Issuer, Subject: c.Subject, Email: c.Email, Vouched: c.Email != "" && c.vouched(of),
		Name: c.Name, GivenName: c.GivenName, FamilyName: c.FamilyName, PictureURL: c.Picture,
	}
}

// vouched reports whether the provider knows that the address is the person's. Google keeps
// the mailboxes of gmail.com, and of the domains of its customers; a tenant of Microsoft
// says what it wants of its people, so it has to be one that the business has chosen, and
// Microsoft says at times whether the domain is the tenant's.
func (c *claims) vouched(of *Config) bool {
	switch of.Kind {
	case db.GoogleProvider:
		domain := domainOf(c.Email)
		return c.EmailVerified.is() && (slices.Contains(gmail, domain) || c.HostedDomain != "" && domainOf("@"+c.HostedDomain) == domain)
	case db.MicrosoftProvider:
		return of.issuerPattern() == of.Issuer && (c.DomainOwnerVerified == nil || c.DomainOwnerVerified.is())
	}
	return c.EmailVerified == nil || c.EmailVerified.is()
}

// gmail are the domains of Google's own mailboxes.
var gmail = []string{"gmail.com", "googlemail.com"}

// domainOf returns the domain of an address in the form in which domains are compared; empty
// if it has none.
func domainOf(address string) string {
	domain, err := db.Domain(address[strings.LastIndexByte(address, '@')+1:])
	if err != nil {
		return ""
	}
	return domain
}
