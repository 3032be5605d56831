package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"roster/credential"
	"roster/db"
	"roster/secret"
	"roster/signin"
	"roster/signin/browser"
)

// application reads a form, and returns it with the application that has sent it. It returns
// an error of the application's for a wrong secret, and for one without a secret that should
// have one.
func (h *Handler) application(w http.ResponseWriter, r *http.Request) (url.Values, *db.Application, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return nil, nil, failure(invalidRequest, "The form did not arrive as a whole.")
	}
	form := r.PostForm // what is in the address is not read: addresses are in logs
	if err := once(form); err != nil {
		return nil, nil, err
	}
	id, shown, err := identified(r, form)
	if err != nil {
		return nil, nil, err
	}
	app, err := h.client(r.Context(), id)
	if err != nil {
		return nil, nil, err
	}
	wrong := failure(invalidClient, "This client_id is not known, or its secret is wrong.")
	wrong.status = http.StatusUnauthorized
	switch {
	case app == nil:
		return nil, nil, wrong
	case !app.Kind.KeepsSecret() && !shown.Empty(), app.Kind.KeepsSecret() && !credential.HasSecret(app, shown, h.SignIn.Clock()):
		return nil, nil, wrong
	}
	return form, app, nil
}

// identified returns as whom the application has sent the form, and its secret: by the
// header or by the form (RFC 6749, 2.3.1).
func identified(r *http.Request, form url.Values) (id string, shown secret.Text, err error) {
	user, password, basic := r.BasicAuth()
	if !basic {
		return form.Get("client_id"), secret.New(form.Get("client_secret")), nil
	}
	id, err1 := url.QueryUnescape(user)
	text, err2 := url.QueryUnescape(password)
	if err1 != nil || err2 != nil || form.Has("client_secret") || form.Has("client_id") && form.Get("client_id") != id {
		return "", secret.Text{}, failure(invalidRequest, "Send client_id and client_secret once, by the header Authorization or in the form.")
	}
	return id, secret.New(text), nil
}

// tokenAnswer is the answer of the token endpoint (RFC 6749, 5.1).
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// token answers an application that asks for tokens.
func (h *Handler) token(w http.ResponseWriter, r *http.Request) {
	form, app, err := h.application(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	tokens, err := h.grant(r, app, form)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	answer(w, http.StatusOK, tokenAnswer{
		tokens.Access.Reveal(), "Bearer", int(tokens.Life.Seconds()), tokens.Refresh.Reveal(), tokens.ID.Reveal(), strings.Join(tokens.Scopes, " "),
	})
}

// The types of grants.
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantMachine = "client_credentials"
)

func (h *Handler) grant(r *http.Request, app *db.Application, form url.Values) (*signin.Tokens, error) {
	ctx, kind := signin.WithVisit(r.Context(), browser.Visit(r, false)), form.Get("grant_type")
	switch {
	case kind != grantCode && kind != grantRefresh && kind != grantMachine:
		return nil, failure(unsupportedGrant, "grant_type must be authorization_code, refresh_token or client_credentials.")
	case (app.Kind == db.MachineApplication) != (kind == grantMachine):
		return nil, failure(unauthorizedClient, "Only a MACHINE gets tokens by client_credentials, and it gets no others.")
	case kind == grantMachine:
		return h.SignIn.MachineToken(ctx, app, form.Get("resource"))
	case kind == grantRefresh:
		return h.SignIn.Refresh(ctx, app, secret.New(form.Get("refresh_token")), form.Get("resource"))
	}
	return h.SignIn.Exchange(ctx, app, signin.CodeGrant{
		Code: secret.New(form.Get("code")), RedirectURL: form.Get("redirect_uri"), Verifier: form.Get("code_verifier"), Resource: form.Get("resource"),
	})
}

// userInfo answers an application that shows the access token of a person.
func (h *Handler) userInfo(w http.ResponseWriter, r *http.Request) {
	claims, err := h.SignIn.UserInfo(r.Context(), bearer(w, r))
	if err == nil {
		answer(w, http.StatusOK, claims)
		return
	}
	e := h.errorOf(r.Context(), err)
	switch { // RFC 6750, 3.1
	case errors.Is(err, signin.ErrNotForUserInfo):
		e = &oauthError{"insufficient_scope", "The access token has not the scope openid.", http.StatusForbidden}
	case e.Code == invalidGrant:
		e = &oauthError{"invalid_token", e.Description, http.StatusUnauthorized}
	}
	h.noteDenied(r, e)
	if e.status < http.StatusInternalServerError {
		w.Header().Set("WWW-Authenticate", `Bearer error="`+e.Code+`", error_description="`+e.Description+`"`)
	}
	answer(w, e.status, e)
}

// bearer returns the access token of the request: in the header or in a form (RFC 6750, 2).
func bearer(w http.ResponseWriter, r *http.Request) secret.Text {
	if scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return secret.New(strings.TrimSpace(text))
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.ParseForm() != nil {
		return secret.Text{}
	}
	return secret.New(r.PostForm.Get("access_token"))
}

// revoke answers an application that gives a token back (RFC 7009).
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) {
	form, app, err := h.application(w, r)
	if err == nil {
		err = h.revokeToken(r, app, secret.New(form.Get("token")))
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// revokeToken is signin.Service.Revoke, which ends access.
func (h *Handler) revokeToken(r *http.Request, app *db.Application, shown secret.Text) error {
	ctx, leave, err := h.Urgently(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	return h.SignIn.Revoke(signin.WithVisit(ctx, browser.Visit(r, false)), app, shown)
}

// introspect answers an application that asks about a token (RFC 7662). Only those with a
// secret may.
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request) {
	form, app, err := h.application(w, r)
	if err == nil && !app.Kind.KeepsSecret() {
		err = failure(unauthorizedClient, "Only applications with a secret may ask about tokens.")
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	found, err := h.SignIn.Introspect(r.Context(), app, secret.New(form.Get("token")))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	all, err := introspected(found)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	answer(w, http.StatusOK, all)
}

// introspected returns what is said of a token; of nil only that it is not active.
func introspected(found *signin.Introspection) (map[string]any, error) {
	if found == nil {
		return map[string]any{"active": false}, nil
	}
	all := map[string]any{}
	text, err := json.Marshal(found.Claims)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	for name, value := range all {
		if value == nil || value == "" {
			delete(all, name)
		}
	}
	all["active"], all["iat"], all["exp"] = true, found.IssuedAt.Unix(), found.ExpiresAt.Unix()
	if !found.Refresh {
		all["token_type"] = "Bearer"
	}
	return all, err
}
