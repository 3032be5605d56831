package pages

import (
	"cmp"
	"net/url"
	"strings"

	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/provider"
	"roster/signin"
)

// loginHintName is the parameter that says what the person calls their account.
const loginHintName = "login_hint"

// providerPath returns the page of a provider.
func providerPath(key string) string { return Path + "/" + url.PathEscape(key) }

// viewDeparture sends the browser to the provider, to sign in there.
func (r *request) viewDeparture() (*view, error) {
	hint := r.http.URL.Query().Get(loginHintName)
	if len(hint) > maxAccount {
		hint = ""
	}
	location, err := r.depart(r.provider, hint)
	switch {
	case problem.Is(err, problem.Invalid):
		return noInvitation(), nil
	case problem.Is(err, problem.NotFound):
		return notFound(), nil
	case err != nil:
		return nil, err
	}
	return nil, &elsewhere{location}
}

// depart begins to sign in by the provider, and returns where that is done.
func (r *request) depart(key, hint string) (string, error) {
	departure, err := r.pages.SignIn.BeginProvider(r.ctx, key, signin.ProviderWish{
		Organization: r.organization(), Hint: hint, Invitation: r.http.URL.Query().Get(invitationName),
	})
	if err != nil {
		return "", err
	}
	r.keep(flow{Ticket: departure.Ticket, Path: providerPath(key) + "/callback", ReturnTo: r.returnTo})
	return departure.Address, nil
}

// viewArrival takes what the browser brings back from the provider, and sends it on.
func (r *request) viewArrival() (*view, error) {
	ticket, err := r.ticket()
	if err != nil {
		return nil, err
	}
	query := r.http.URL.Query()
	answer := provider.Answer{State: query.Get("state"), Code: query.Get("code"), Issuer: query.Get("iss"), Error: query.Get("error")}
	result, err := r.pages.SignIn.FinishProvider(r.ctx, r.provider, ticket, answer)
	switch {
	case problem.Is(err, problem.InvitationOnly):
		return nil, problem.New(problem.InvitationOnly, "There is no account for you here yet, and accounts are made by invitation only.")
	case err != nil:
		return nil, err
	case result == nil:
		return nil, &elsewhere{r.done("linked", accountPath)}
	}
	location, err := r.follow(result, "", nil)
	if err != nil {
		return nil, err
	}
	r.pages.Cookies.End(r.writer, r.visit)
	return nil, &elsewhere{location}
}

// viewLink asks whether the person means it: a page of somebody else may have sent the
// browser here.
func (r *request) viewLink() (*view, error) {
	p, err := r.pages.SignIn.LinkableProvider(r.ctx, r.provider)
	switch {
	case problem.Is(err, problem.NotFound):
		return notFound(), nil
	case err != nil:
		return nil, err
	}
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	return &view{
		Title: "Sign in with " + p.DisplayName + " from now on?", Submit: "Continue to " + p.DisplayName, Links: []link{back},
		Text: "You sign in there once. After that, whoever can sign in to that account can enter the account of " + user.Name + " here.",
	}, nil
}

func (r *request) beginLink() (string, error) {
	departure, err := r.pages.SignIn.BeginLink(r.ctx, r.provider)
	if err != nil {
		return "", err
	}
	r.keep(flow{Ticket: departure.Ticket, Path: providerPath(r.provider) + "/callback", ReturnTo: r.returnTo})
	return departure.Address, nil
}

func (r *request) unlink() (string, error) {
	if _, err := r.pages.SignIn.UnlinkIdentity(r.ctx, signin.UnlinkIdentityInput{Identity: r.form.Get("identity")}); err != nil {
		return "", err
	}
	return r.done("unlinked", accountPath), nil
}

// providerLinks returns links to the pages of providers, to sign in by them.
func (r *request) providerLinks(all []directory.Provider) []link {
	links := make([]link, len(all))
	for i, p := range all {
		links[i] = link{r.link(providerPath(p.Key)), "Continue with " + p.DisplayName}
	}
	return links
}

// viewByProvider adds the ways to sign in by providers to the page: those that everybody may
// see, and the ones for the domain of the address that was typed.
func (r *request) viewByProvider(v *view) error {
	typed := ""
	if r.form != nil {
		typed = strings.TrimSpace(r.form.Get("account"))
	}
	all, err := r.pages.Directory.ProvidersFor(r.ctx, typed)
	v.Providers = r.providerLinks(all)
	return err
}

// byProvider is the button that asks for the provider of the domain of the address.
const byProvider = "provider"

// signInByProvider begins to sign in by the provider of the domain of the address.
func (r *request) signInByProvider(account string) (string, error) {
	all, err := r.pages.Directory.ProvidersFor(r.ctx, account)
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if p.Serves(account) {
			return r.depart(p.Key, account)
		}
	}
	return "", problem.At(problem.Invalid, "input.email", "There is no organization's sign-in for this address. Use another way.")
}

// identity is a way in which the person signs in.
type identity struct{ ID, Name, Details string }

// identities returns the ways in which the person signs in, and the providers that they could
// add.
func (r *request) identities(email *string) (have []identity, more []link, err error) {
	rows, err := r.pages.Directory.Identities(r.ctx, []db.UserID{*r.person.User})
	if err != nil {
		return nil, nil, err
	}
	all, err := r.pages.Directory.ProvidersFor(r.ctx, orEmpty(email))
	if err != nil {
		return nil, nil, err
	}
	names := map[string]string{}
	for _, p := range all {
		names[p.Key] = p.DisplayName
	}
	now, has := r.pages.SignIn.Clock(), map[string]bool{}
	for _, row := range rows[0] {
		one := identity{ID: row.ID.String(), Name: cmp.Or(names[row.Provider], row.Provider), Details: orEmpty(row.Email)}
		if row.Provider == db.PasswordProvider {
			one.Name, one.Details = "Password", ""
		}
		if row.LastSignedInAt != nil {
			one.Details = strings.TrimPrefix(one.Details+", last used "+ago(now.Sub(*row.LastSignedInAt)), ", ")
		}
		has[row.Provider] = true
		have = append(have, one)
	}
	for _, p := range all {
		if !has[p.Key] {
			more = append(more, link{providerPath(p.Key) + "/link", "Link " + p.DisplayName})
		}
	}
	return have, more, nil
}
