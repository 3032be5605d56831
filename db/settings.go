package db

import (
	"math"
	"regexp"
	"strconv"

	"github.com/uptrace/bun"
)

// Settings is the only row of settings. The default organization and the default
// roles are marked in their own rows.
type Settings struct {
	bun.BaseModel `bun:"table:settings,alias:s" json:"-"`

	ID                      bool     `bun:",pk" json:"-"`
	AllowSelfSignUp         bool     `json:"allowSelfSignUp"`
	SyncProfilesOnSignIn    bool     `json:"syncProfilesOnSignIn"`
	AllowPasswordSignIn     bool     `json:"allowPasswordSignIn"`
	AllowCodeSignIn         bool     `json:"allowCodeSignIn"`
	AllowOrganizationSignUp bool     `json:"allowOrganizationSignUp"`
	MinimumPasswordLength   int      `json:"minimumPasswordLength"`
	RememberOrganization    bool     `json:"rememberOrganization"`
	SessionIdleSeconds      int      `json:"sessionIdleSeconds"`
	SessionMaximumSeconds   int      `json:"sessionMaximumSeconds"`
	Branding                Branding `bun:"embed:branding_" json:"branding"`
}

// Branding is what hosted pages and mails show of the business.
type Branding struct {
	Name       string  `json:"name"`
	LogoURL    *string `json:"logoUrl"`
	Colour     *string `json:"colour"`
	PrivacyURL *string `json:"privacyUrl"`
	TermsURL   *string `json:"termsUrl"`
}

var colourPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// defaultColour is the colour of buttons where the business has none.
const defaultColour = "#4f46e5"

// ButtonColours returns the colour of buttons for the colour of a business, which may be
// empty, and the colour of the text on them: black or white, whichever has the higher contrast
// (WCAG 2.2, relative luminance), which is 4.5 or more.
func ButtonColours(text string) (button, label string) {
	if !colourPattern.MatchString(text) {
		text = defaultColour
	}
	luminance := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		value, _ := strconv.ParseUint(text[1+2*i:3+2*i], 16, 8) // the pattern has only such digits
		channel := float64(value) / math.MaxUint8
		if channel <= 0.04045 {
			channel /= 12.92
		} else {
			channel = math.Pow((channel+0.055)/1.055, 2.4)
		}
		luminance += weight * channel
	}
	const even = 0.179 // where black and white have the same contrast
	if luminance > even {
		return text, "#000000"
	}
	return text, "#ffffff"
}
