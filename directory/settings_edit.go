package directory

import (
	"regexp"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
	"roster/problem"
)

// The bounds of settings. NIST SP 800-63B-4 (3.1.1.2) wants at least 8 characters of a
// password beside a second factor, and that 64 are accepted, so no more may be demanded.
const (
	leastPasswordLength, mostPasswordLength = 8, 64

	leastSessionSeconds       = 5 * 60
	mostSessionIdleSeconds    = 365 * 24 * 60 * 60
	mostSessionMaximumSeconds = 5 * mostSessionIdleSeconds
)

// editSettings changes the settings of the row as the input says.
func (f *faults) editSettings(in UpdateSettingsInput, row *db.Settings) {
	f.flag("input.allowSelfSignUp", in.AllowSelfSignUp, &row.AllowSelfSignUp)
	f.flag("input.syncProfilesOnSignIn", in.SyncProfilesOnSignIn, &row.SyncProfilesOnSignIn)
	f.flag("input.allowPasswordSignIn", in.AllowPasswordSignIn, &row.AllowPasswordSignIn)
	f.flag("input.allowCodeSignIn", in.AllowCodeSignIn, &row.AllowCodeSignIn)
	f.flag("input.allowOrganizationSignUp", in.AllowOrganizationSignUp, &row.AllowOrganizationSignUp)
	f.flag("input.rememberOrganization", in.RememberOrganization, &row.RememberOrganization)
	f.number("input.minimumPasswordLength", in.MinimumPasswordLength, leastPasswordLength, mostPasswordLength, &row.MinimumPasswordLength)
	f.number("input.sessionIdleSeconds", in.SessionIdleSeconds, leastSessionSeconds, mostSessionIdleSeconds, &row.SessionIdleSeconds)
	f.number("input.sessionMaximumSeconds", in.SessionMaximumSeconds, leastSessionSeconds, mostSessionMaximumSeconds, &row.SessionMaximumSeconds)
	f.editBranding("input.branding", in.Branding, &row.Branding)

	if !row.AllowPasswordSignIn && !row.AllowCodeSignIn {
		field := "input.allowPasswordSignIn"
		if in.AllowCodeSignIn.IsSet() {
			field = "input.allowCodeSignIn"
		}
		f.Add(problem.Invalid, field, "People must be able to sign in: by a password, by a code, or both.")
	}
	if row.SessionIdleSeconds > row.SessionMaximumSeconds && !f.about("input.sessionIdleSeconds", "input.sessionMaximumSeconds") {
		field := "input.sessionIdleSeconds"
		if in.SessionMaximumSeconds.IsSet() {
			field = "input.sessionMaximumSeconds"
		}
		f.Add(problem.Invalid, field, "A session cannot last for a shorter time than it may be idle.")
	}
}

// editBranding changes the members of the branding that are set.
func (f *faults) editBranding(field string, value graphql.Omittable[*BrandingInput], into *db.Branding) {
	if !value.IsSet() {
		return
	}
	in := value.Value()
	if in == nil {
		f.Add(problem.Invalid, field, "Must not be null; to empty a part of it, use null for that.")
		return
	}
	if in.Name.IsSet() {
		into.Name = f.name(field+".name", textValue(in.Name.Value()))
	}
	editText(f.colour, field+".colour", in.Colour, &into.Colour)
	for _, link := range []struct {
		name  string
		value graphql.Omittable[*string]
		into  **string
	}{{"logoUrl", in.LogoURL, &into.LogoURL}, {"privacyUrl", in.PrivacyURL, &into.PrivacyURL}, {"termsUrl", in.TermsURL, &into.TermsURL}} {
		editText(f.secureURL, field+"."+link.name, link.value, link.into)
	}
}

// flag sets into to a value that must not be null, if there is one.
func (f *faults) flag(field string, value graphql.Omittable[*bool], into *bool) {
	switch {
	case !value.IsSet():
	case value.Value() == nil:
		f.Add(problem.Invalid, field, "Must be true or false.")
	default:
		*into = *value.Value()
	}
}

// number sets into to a value from least to most, if there is one.
func (f *faults) number(field string, value graphql.Omittable[*int], least, most int, into *int) {
	switch {
	case !value.IsSet():
	case value.Value() == nil || *value.Value() < least || *value.Value() > most:
		f.Add(problem.Invalid, field, "Must be a number from %d to %d.", least, most)
	default:
		*into = *value.Value()
	}
}

var colourPattern = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// colour checks a colour, and returns it in lower case.
func (f *faults) colour(field string, value *string) *string {
	clean := f.identifier(field, value, len("#rrggbb"))
	if clean == nil || f.about(field) {
		return clean
	}
	lower := strings.ToLower(*clean)
	if !colourPattern.MatchString(lower) {
		f.Add(problem.Invalid, field, "Not a colour, such as #0a7cff.")
	}
	return &lower
}
