package format

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// issuers has the issuers of providers that are the same for everybody, by the names that
// the vendors have for them. The issuer of Microsoft's is another one in each tenant.
var issuers = map[string]string{
	"google":        "https://accounts.google.com",
	"google-oauth2": "https://accounts.google.com",
	"google.com":    "https://accounts.google.com",
	"apple":         "https://appleid.apple.com",
	"apple.com":     "https://appleid.apple.com",
}

// ownDoors are the ways in that lead to no account elsewhere, by the names that the vendors
// have for them.
var ownDoors = map[string]bool{"": true, "auth0": true, "email": true, "sms": true, "password": true, "phone": true, "username": true, "anonymous": true}

// protocols are the ways to providers that a connection names, of which there may be several.
var protocols = map[string]bool{"oidc": true, "samlp": true, "adfs": true, "ad": true, "oauth2": true}

// account adds an account elsewhere, unless it is there already.
func (d *draft) account(provider, subject, email string) {
	if ownDoors[provider] || subject == "" {
		return
	}
	if issuer := issuers[provider]; issuer != "" {
		provider = issuer
	}
	for i, known := range d.Identities {
		if known.Provider == provider && known.Subject == subject {
			if known.Email == "" {
				d.Identities[i].Email = email
			}
			return
		}
	}
	d.Identities = append(d.Identities, Identity{Provider: provider, Subject: subject, Email: email})
}

// accountOf adds the account that an id of Auth0 is made of: google-oauth2|1234, or
// samlp|connection|1234.
func (d *draft) accountOf(id string) {
	provider, subject, _ := strings.Cut(id, "|")
	if connection, rest, ok := strings.Cut(subject, "|"); ok && protocols[provider] {
		provider, subject = connection, rest
	}
	d.account(provider, subject, "")
}

// setIdentities takes the ways in that a person has:
//
//	{type, identity, is_verified, provider, profile}         of Kinde, and of our own export
//	{provider, user_id, connection, isSocial, profileData}   of Auth0
//	{type, value, verified}                                  identifiers of Auth0
//	{providerId, rawId, email}                               providerUserInfo of Firebase
func (d *draft) setIdentities(column string, v value) {
	raw := d.object(column, v, "[")
	if raw == nil {
		return
	}
	elements(raw, func(one jsontext.Value) {
		if one.Kind() != '{' {
			d.fail(InvalidType, column, "A way to sign in is needed here, not %s.", quoted(string(one)))
			return
		}
		d.setIdentity(column, one)
	})
}

func (d *draft) setIdentity(column string, one jsontext.Value) {
	var kind, provider, connection, subject, email string
	var verified *bool
	members(one, func(name string, v jsontext.Value) {
		held := value{json: v}
		switch normalized(name) {
		case "type":
			kind = d.text(column, held)
		case "provider", "providerid":
			provider = d.text(column, held)
		case "connection":
			connection = d.text(column, held)
		case "identity", "value", "userid", "rawid":
			subject = d.key(column, held)
		case "isverified", "verified":
			verified = d.flag(column, held)
		case "email":
			email = d.text(column, held)
		case "profile", "profiledata":
			if v.Kind() == '{' {
				members(v, func(name string, v jsontext.Value) {
					if name == "email" && v.Kind() == '"' {
						email = d.text(column, value{json: v})
					}
				})
			}
		}
	})
	switch kind {
	case "email":
		d.email(column, subject, verified, false)
		return
	case "phone", "phone_number":
		d.phone(column, subject, verified, false)
		return
	case "username":
		if d.Username == "" {
			d.Username = subject
		}
		return
	case "":
		if protocols[provider] && connection != "" {
			provider = connection
		}
		// Auth0 repeats the connection in the id of an account that it reaches by a protocol.
		d.account(provider, strings.TrimPrefix(subject, connection+"|"), email)
		return
	}
	kind = strings.TrimPrefix(kind, "oauth2:")
	if strings.Contains(subject, "@") && issuers[kind] != "" {
		// No subject of these providers is an address: it is how the person is known there.
		d.email(column, subject, verified, false)
		return
	}
	d.account(kind, subject, email)
}
