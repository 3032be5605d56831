package oauth

import (
	"context"
	"net/http"
	"net/url"

	"roster/db"
	"roster/directory"
	"roster/problem"
)

// logout signs the person out who was sent here by an application (OpenID Connect
// RP-Initiated Logout), and sends them to one of its addresses if it asks so.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	hint := q.Get("id_token_hint")
	app, err := h.loggedOutOf(r, q)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	to := q.Get("post_logout_redirect_uri")
	if once(q) != nil || to != "" && (app == nil || !directory.LogsOutTo(app, to)) {
		h.Refuse(w, r, problem.New(problem.Invalid, "The application that sent you here has no such address to send you to after signing out (post_logout_redirect_uri)."))
		return
	}
	r, visit, err := h.visit(w, r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	done, err := h.logOut(r.Context(), hint)
	switch {
	case err != nil:
		h.refuse(w, r, err)
	case !done:
		redirect(w, signOutPage+"?"+url.Values{"return_to": {again(app, to, q.Get("state"))}}.Encode())
	default:
		h.Cookies.End(w, visit)
		redirect(w, afterLogout(to, q.Get("state")))
	}
}

// logOut is signin.Service.LogOut, which ends access.
func (h *Handler) logOut(ctx context.Context, hint string) (done bool, err error) {
	ctx, leave, err := h.Urgently(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	return h.SignIn.LogOut(ctx, hint)
}

// loggedOutOf returns the application by client_id or else by the hint, or nil if
// they name different ones.
func (h *Handler) loggedOutOf(r *http.Request, q url.Values) (*db.Application, error) {
	hinted, isHint := h.SignIn.HintedApplication(q.Get("id_token_hint"))
	switch {
	case !q.Has("client_id") && isHint:
		return h.Directory.Client(r.Context(), hinted)
	case isHint && q.Get("client_id") != hinted.String():
		return nil, nil
	}
	return h.client(r.Context(), q.Get("client_id"))
}

// again returns the address at which the browser goes on here when the person has signed
// out.
func again(app *db.Application, to, state string) string {
	q := url.Values{}
	if app != nil {
		q.Set("client_id", app.ClientID())
	}
	if to != "" {
		q.Set("post_logout_redirect_uri", to)
	}
	if state != "" {
		q.Set("state", state)
	}
	return logoutPath + "?" + q.Encode()
}

func afterLogout(to, state string) string {
	switch {
	case to == "":
		return signInPage
	case state == "":
		return to
	}
	return with(to, url.Values{"state": {state}})
}
