package oauth

import (
	"net/http"

	"roster/signin"
)

// configuration tells libraries what there is (OpenID Connect Discovery, 3; RFC 8414).
func (h *Handler) configuration(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	at := func(path string) string { return h.SignIn.Issuer + path }
	secrets := []string{"client_secret_basic", "client_secret_post"}
	answer(w, http.StatusOK, map[string]any{
		"issuer":                 h.SignIn.Issuer,
		"authorization_endpoint": at(authorizePath),
		"token_endpoint":         at(tokenPath),
		"userinfo_endpoint":      at(userInfoPath),
		"jwks_uri":               at(jwksPath),
		"revocation_endpoint":    at(revokePath),
		"introspection_endpoint": at(introspectPath),
		"end_session_endpoint":   at(logoutPath),

		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{grantCode, grantRefresh, grantMachine},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"RS256"},
		"scopes_supported":                               signin.Scopes,
		"claims_supported":                               []string{"sub", "name", "given_name", "family_name", "preferred_username", "picture", "updated_at", "email", "email_verified", "phone_number", "auth_time", "amr", "sid"},
		"code_challenge_methods_supported":               []string{"S256"},
		"prompt_values_supported":                        []string{promptNone, promptLogin, promptSelect, promptConsent, promptCreate},
		"token_endpoint_auth_methods_supported":          append(secrets, "none"),
		"revocation_endpoint_auth_methods_supported":     append(secrets, "none"),
		"introspection_endpoint_auth_methods_supported":  secrets,
		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	})
}
