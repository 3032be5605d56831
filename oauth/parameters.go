package oauth

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/signin"
)

// once returns an error if there is a parameter that is sent twice (RFC 6749, 3.1).
func once(all url.Values) error {
	for name, values := range all {
		if len(values) > 1 {
			if name == "resource" {
				return failure(invalidTarget, "Ask for one resource at a time.")
			}
			return failure(invalidRequest, "A parameter is there twice.")
		}
	}
	return nil
}

// client returns the application that calls itself so, or nil if it does not exist.
func (h *Handler) client(ctx context.Context, id string) (*db.Application, error) {
	parsed, err := db.ParseID[db.ClientKind](id)
	if err != nil {
		return nil, nil //nolint:nilerr // nobody is called so
	}
	return h.Directory.Client(ctx, parsed)
}

// scopes returns those of the scopes that mean something here, each once. Others are passed
// over (RFC 6749, 3.3). `offline` is what Kinde calls offline_access.
func scopes(text string) []string {
	asked := strings.Fields(text)
	for i := range asked {
		if asked[i] == "offline" {
			asked[i] = signin.ScopeOffline
		}
	}
	return slices.DeleteFunc(slices.Clone(signin.Scopes), func(scope string) bool { return !slices.Contains(asked, scope) })
}

// organization returns the organization that the parameters name, by its code or id.
func organization(q url.Values) *directory.OrganizationRef {
	text := q.Get("organization")
	if text == "" {
		text = q.Get("org_code")
	}
	if text == "" {
		return nil
	}
	ref := directory.ParseOrganizationRef(text)
	return &ref
}

// LeadsTo returns where browsers may go on from a path of this server that has been asked
// for, as a source of a Content-Security-Policy: from the authorization of an application, or
// from logging out, to the application. It is empty for all others.
func (h *Handler) LeadsTo(ctx context.Context, address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Path != authorizePath && u.Path != logoutPath {
		return ""
	}
	q := u.Query()
	app, err := h.client(ctx, q.Get("client_id"))
	if err != nil || app == nil {
		return ""
	}
	to, isOwn := q.Get("redirect_uri"), directory.RedirectsTo
	if u.Path == logoutPath {
		to, isOwn = q.Get("post_logout_redirect_uri"), directory.LogsOutTo
	}
	target, err := url.Parse(to)
	switch {
	case err != nil || !isOwn(app, to):
		return ""
	case target.Host == "":
		return target.Scheme + ":"
	}
	return target.Scheme + "://" + target.Host
}

// noApplication is shown to people who were sent by nobody that is known.
func noApplication() *problem.Error {
	return problem.New(problem.Invalid, "The application that sent you here is not known (client_id). Go back to it, and tell those who run it.")
}
