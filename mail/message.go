package mail

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"roster/db"
	"roster/secret"
)

// Kind is what a message is about. It is also the name of its templates, without
// .txt and .html.
type Kind string

// The kinds of messages.
const (
	// SignInCode has the code that signs its reader in.
	SignInCode Kind = "sign-in-code"
	// SignUpCode has the code that proves the address of somebody who signs up.
	SignUpCode Kind = "sign-up-code"
	// AccountExists goes to an address that has an account, and with which somebody has
	// tried to sign up.
	AccountExists Kind = "account-exists"
	// ResetCode has the code that lets its reader choose another password.
	ResetCode Kind = "reset-code"
	// AddressCode has the code that proves the new address of an account.
	AddressCode Kind = "address-code"
	// AddressChanged tells the old address of an account that there is a new one.
	AddressChanged Kind = "address-changed"
	// PasswordChanged says that somebody who knew the password has changed it.
	PasswordChanged Kind = "password-changed"
	// PasswordReset says that somebody who had a ResetCode has chosen another password.
	PasswordReset Kind = "password-reset"
	// Invitation has the link by which its reader joins an organization.
	Invitation Kind = "invitation"
	// IdentityCode has the code that proves the address that an identity provider has named,
	// and so links the identity to the account of that address.
	IdentityCode Kind = "identity-code"
	// IdentityLinked says that an account can be entered by an identity provider now.
	IdentityLinked Kind = "identity-linked"
)

// kinds holds all kinds, and whether they have a code.
var kinds = map[Kind]bool{
	SignInCode: true, SignUpCode: true, AccountExists: false, ResetCode: true,
	AddressCode: true, AddressChanged: false, PasswordChanged: false, PasswordReset: false,
	Invitation: false, IdentityCode: true, IdentityLinked: false,
}

// Message is what is to be mailed. Whatever a message does not need may be empty.
//
// Texts that people chose for themselves, or that came with a request, are made
// harmless: control characters are left out, long ones are cut, and what could be
// taken for an address or a code is not shown.
type Message struct {
	Kind Kind
	// To is the address of the recipient.
	To string
	// ForNobody is true if the message takes the place of one to an account that does not
	// exist: it is the same work, and is deleted where others are sent.
	ForNobody bool
	// Name is the name by which the recipient is greeted. Leave it empty if it was typed
	// by somebody who has not proven the address: else anybody could send a text of
	// theirs to any address.
	Name string
	// Code is 8 digits, for the kinds that have one.
	Code secret.Text
	// Lifetime is how long the mail is of use; it is not sent later. 0 means a day, which is
	// also the most.
	Lifetime time.Duration
	// Device is what the request came from, such as "Firefox on Linux".
	Device string
	// NewAddress is the new address of an account, for AddressChanged.
	NewAddress string
	// Organization is the name of the one that the recipient is invited to, and Until when
	// the invitation expires, for Invitation.
	Organization string
	Until        time.Time
	// Provider is what people call the identity provider, for IdentityCode and
	// IdentityLinked.
	Provider string
	// Link is the page where the recipient signs in, or goes on.
	Link string
	// Branding is how the business shows itself.
	Branding Branding
}

// Branding is how a business shows itself in mails. All fields but Name may be empty.
type Branding struct {
	Name string
	// LogoURL, PrivacyURL and TermsURL are addresses of web pages; others are not used.
	LogoURL, PrivacyURL, TermsURL string
	// Colour is the colour of buttons, such as #4f46e5; another notation is not used.
	Colour string
}

var codePattern = regexp.MustCompile(`^[0-9]{8}$`)

// check returns an error if the caller has left out what messages of this kind need.
// The error has neither address nor code.
func (m *Message) check() error {
	hasCode, known := kinds[m.Kind]
	switch {
	case !known:
		return fmt.Errorf("mail: %q is no kind of message", m.Kind)
	case hasCode && !codePattern.MatchString(m.Code.Reveal()):
		return fmt.Errorf("mail: the code of a %s is not 8 digits", m.Kind)
	case !hasCode && !m.Code.Empty():
		return fmt.Errorf("mail: a %s has no code", m.Kind)
	case m.ForNobody != (m.To == ""), !m.ForNobody && !isAddress(m.To):
		return fmt.Errorf("mail: the recipient of a %s is no address", m.Kind)
	}
	return nil
}

// maxAddress is the length of the longest address, in bytes (RFC 5321, 4.5.3.1.3).
const maxAddress = 254

// isAddress reports whether text is an address alone, without a name or anything else
// around it. It takes all that an account can have, such as "a..b@example.com".
func isAddress(text string) bool {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || len(text) > maxAddress {
		return false
	}
	local := text[:at]
	_, err := db.Domain(text[at+1:])
	return err == nil && !strings.ContainsAny(local, ` <>()[],;:\"@`) &&
		utf8.ValidString(local) && !strings.ContainsFunc(local, func(r rune) bool { return !unicode.IsPrint(r) })
}

// domainOf returns the part of an address after the @.
func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// asciiDomain returns the address with its domain in the form that DNS has, since few
// servers take another one (RFC 6531).
func asciiDomain(address string) (string, error) {
	written := domainOf(address)
	domain, err := db.Domain(written)
	if err != nil {
		return "", err
	}
	ascii, err := idna.Punycode.ToASCII(domain)
	return strings.TrimSuffix(address, written) + ascii, err
}
