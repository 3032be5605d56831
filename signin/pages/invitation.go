package pages

import (
	"cmp"
	"net/http"
	"net/url"

	"roster/access"
	"roster/db"
	"roster/problem"
	"roster/signin"
)

// tokenName is the name of what the link of an invitation has, and the form then sends.
const tokenName = "token"

// invitationName is the parameter of a provider's page that has the token of an invitation.
const invitationName = "invitation"

// invitationToken returns the token of the form or, before that is sent, of the address.
func (r *request) invitationToken() string {
	return cmp.Or(r.form.Get(tokenName), r.http.URL.Query().Get(tokenName))
}

func (r *request) viewInvitation() (*view, error) {
	invited, err := r.pages.SignIn.Invited(r.ctx, r.invitationToken())
	switch {
	case problem.Is(err, problem.Invalid):
		r.problems = nil
		return noInvitation(), nil
	case err != nil:
		return nil, err
	case invited.ForAnother:
		r.problems = nil
		return invitedAnother(invited.Email), nil
	}
	organizations, err := r.organizations([]db.OrganizationID{invited.Organization})
	if err != nil {
		return nil, err
	}
	v := &view{Submit: "Accept", Text: "Accept with your account " + invited.Email + ".", Title: "You are invited"}
	for _, org := range organizations {
		v.Title = "You are invited to " + org.Name
	}
	v.Fields = []*field{{Name: tokenName, Value: r.invitationToken(), Hidden: true}, accountField(invited.Email)}
	if access.ActorOf(r.ctx) != nil {
		return v, nil
	}
	providers, err := r.pages.Directory.ProvidersFor(r.ctx, invited.Email)
	if err != nil {
		return nil, err
	}
	for _, p := range providers {
		to := url.Values{invitationName: {r.invitationToken()}, returnToName: {r.returnTo}}
		v.Providers = append(v.Providers, link{providerPath(p.Key) + "?" + to.Encode(), "Continue with " + p.DisplayName})
	}
	if invited.HasAccount {
		return v, nil
	}
	v.Text = "You get an account with the address " + invited.Email + "."
	if !invited.Proven {
		v.Submit, v.Text = "Continue", "We mail a code to "+invited.Email+", to see that the address is yours. If you have an account already, leave the rest as it is."
	}
	v.Fields = append(v.Fields, r.newAccountFields(invited)...)
	return v, nil
}

// newAccountFields returns the fields for what the account of the invited is to have.
func (r *request) newAccountFields(invited *signin.Invited) []*field {
	fields := []*field{
		{Name: "givenName", Label: "Given name (optional)", Autocomplete: "given-name", Value: orEmpty(invited.GivenName)},
		{Name: "familyName", Label: "Family name (optional)", Autocomplete: "family-name", Value: orEmpty(invited.FamilyName)},
	}
	if !r.settings.AllowPasswordSignIn {
		return fields
	}
	password := r.newPassword("password", "Password")
	if password.Required = invited.Proven && !r.settings.AllowCodeSignIn; !password.Required {
		password.Label += " (optional)"
	}
	if r.settings.AllowCodeSignIn {
		password.Hint += " Without one, you sign in by codes."
	}
	return append(fields, password)
}

// acceptInvitation accepts the invitation, or begins to.
func (r *request) acceptInvitation() (string, error) {
	result, err := r.pages.SignIn.AcceptInvitation(r.ctx, signin.AcceptInvitationInput{
		Token: r.invitationToken(), Password: r.filled("password"), GivenName: r.filled("givenName"), FamilyName: r.filled("familyName"),
	})
	return r.follow(result, r.form.Get("account"), err)
}

func noInvitation() *view {
	return &view{
		template: "message", status: http.StatusGone, Title: "This invitation is not valid",
		Text:  "Perhaps it has expired, was withdrawn, or was used before. Ask whoever invited you for a new one.",
		Links: []link{{Path, "Sign in"}},
	}
}

func invitedAnother(email string) *view {
	return &view{
		template: "message", status: http.StatusForbidden, Title: "You are signed in with another account",
		Text:  "This invitation is for " + email + ". Sign out first, and then open the link again.",
		Links: []link{{accountPath, "Your account, where you sign out"}},
	}
}
