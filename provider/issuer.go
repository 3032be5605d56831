package provider

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"roster/db"
	"roster/egress"
	"roster/problem"
)

// microsoftClouds are where Microsoft signs people in, in order: everywhere, for the
// government of the United States, and in China.
var microsoftClouds = []string{"https://login.microsoftonline.com", "https://login.microsoftonline.us", "https://login.partner.microsoftonline.cn"}

// tenantPattern matches the id of a tenant.
var tenantPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// maxIssuer is how long the address of a provider may be, in bytes.
const maxIssuer = 500

// IssuerOf returns the issuer of a provider of the kind from what somebody has entered.
// Google needs neither an address nor a tenant; Microsoft needs the tenant, and the address
// only for its other clouds; all others need the address. In development, the address may be
// one of this machine. It returns INVALID, about input.issuer or input.tenant.
func IssuerOf(kind db.IdentityProviderKind, address, tenant *string, development bool) (string, error) {
	if address != nil && len(*address) > maxIssuer {
		return "", problem.At(problem.Invalid, "input.issuer", "At most %d characters.", maxIssuer)
	}
	here := development && address != nil && isLoopback(*address)
	switch {
	case tenant != nil && (kind != db.MicrosoftProvider || len(*tenant) > maxIssuer):
		return "", problem.At(problem.Invalid, "input.tenant", "Only Microsoft has tenants, and each has an id.")
	case address != nil && !isIssuer(*address, here):
		return "", problem.At(problem.Invalid, "input.issuer", "Not the address of a provider, such as https://accounts.example.com, without anything behind ? or #.")
	case kind == db.GoogleProvider:
		if address != nil && *address != googleIssuer && !here {
			return "", problem.At(problem.Invalid, "input.issuer", "Google is at %s.", googleIssuer)
		}
		return textOr(address, googleIssuer), nil
	case kind == db.MicrosoftProvider:
		return microsoftIssuer(strings.TrimSuffix(textOr(address, microsoftClouds[0]), "/"), strings.ToLower(textOr(tenant, "")), here)
	case address == nil:
		return "", problem.At(problem.Invalid, "input.issuer", "The address of the provider is needed.")
	}
	return *address, nil
}

func microsoftIssuer(cloud, tenant string, here bool) (string, error) {
	switch {
	case !here && !slices.Contains(microsoftClouds, cloud):
		return "", problem.At(problem.Invalid, "input.issuer", "Microsoft is at %s. The tenant has a field of its own.", strings.Join(microsoftClouds, ", "))
	case tenant != db.AnyOrganization && tenant != db.AnyAccount && !tenantPattern.MatchString(tenant):
		return "", problem.At(problem.Invalid, "input.tenant", "Not the id of a tenant, such as 72f988bf-86f1-41af-91ab-2d7cd011db47, nor %q or %q.", db.AnyOrganization, db.AnyAccount)
	}
	return cloud + "/" + tenant + "/v2.0", nil
}

func textOr(text *string, other string) string {
	if text == nil {
		return other
	}
	return *text
}

// isIssuer reports whether the text is an address as issuers have it (OpenID Connect
// Discovery, 3): https or, on this machine, http, and nothing but a host and a path.
func isIssuer(text string, here bool) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(text, "?# \\") {
		return false
	}
	return u.Scheme == "https" || here && u.Scheme == "http"
}

// isLoopback reports whether the address is one of this machine.
func isLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	return egress.IsLoopback(u.Hostname())
}
