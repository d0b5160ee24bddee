package apiserver

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/vipd/vipd/test/standin/pki"
)

// etcdTimeout is how long kube-apiserver waits for etcd before it answers a
// health request that etcd does not.
const etcdTimeout = 2 * time.Second

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", text("pong"))
	mux.HandleFunc("/cacerts", text(string(s.opts.Identity.ServerCA)))
	mux.HandleFunc("/", s.serveClient)
	mux.HandleFunc("/watch", s.serveWatch)
	for path, body := range map[string]string{
		"/version": `{"major":"1","minor":"21","gitVersion":"v1.21.2+k3s1","platform":"linux/amd64"}`,
		"/api":     `{"kind":"APIVersions","versions":["v1"]}`,
		"/metrics": "apiserver_audit_event_total 0\n",
	} {
		mux.Handle(path, s.authenticated(func(w http.ResponseWriter, r *http.Request, _ pkix.Name) { text(body)(w, r) }))
	}
	for _, name := range []string{"readyz", "livez", "healthz"} {
		mux.Handle("/"+name, s.authenticated(func(w http.ResponseWriter, r *http.Request, _ pkix.Name) {
			s.serveHealth(w, r, name)
		}))
		mux.Handle("/"+name+"/{check...}", s.authenticated(func(w http.ResponseWriter, r *http.Request, user pkix.Name) {
			s.serveCheck(w, r, name, user)
		}))
	}
	return s.timed(mux)
}

// timed applies what concerns every request: delays, and the time when the
// supervisor runs but kube-apiserver does not.
func (s *Server) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := s.state.Load()
		if st.mode.Kind == Slow && !sleep(r, st.mode.Period) {
			return
		}
		if st.mode.Kind == Starting {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authenticated lets those through who show a certificate of the client CA, and
// gives the answers that do not depend on what they want.
func (s *Server) authenticated(next func(http.ResponseWriter, *http.Request, pkix.Name)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, known := s.user(r)
		if !known {
			refuse(w, r, http.StatusUnauthorized, user)
			return
		}
		st := s.state.Load()
		switch st.mode.Kind {
		case Missing:
			http.NotFound(w, r)
		case Status:
			refuse(w, r, st.mode.Status, user)
		default:
			next(w, r, user)
		}
	})
}

// user returns whose certificate came with the request, and whether the client
// CA signed it.
func (s *Server) user(r *http.Request) (pkix.Name, bool) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return pkix.Name{}, false
	}
	leaf := r.TLS.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:     s.opts.Identity.ClientCAs,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return leaf.Subject, err == nil
}

// serveHealth answers /readyz, /livez and /healthz.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request, name string) {
	st := s.state.Load()
	now := time.Now()
	kind := st.at(now)
	rep := inspect(checks(name, kind), failures(kind, st.booted(now)), r.URL.Query()["exclude"])
	if kind == EtcdLost && rep.failed() && !sleep(r, etcdTimeout) {
		return
	}
	if rep.failed() {
		http.Error(w, rep.body(name), http.StatusInternalServerError)
		return
	}
	if !r.URL.Query().Has("verbose") {
		text("ok")(w, r)
		return
	}
	text(rep.body(name)+"\n")(w, r)
}

// serveCheck answers for one check, as /readyz/etcd: to the admin only.
func (s *Server) serveCheck(w http.ResponseWriter, r *http.Request, name string, user pkix.Name) {
	if !slices.Contains(user.Organization, pki.MastersGroup) {
		refuse(w, r, http.StatusForbidden, user)
		return
	}
	st := s.state.Load()
	now := time.Now()
	kind := st.at(now)
	check := r.PathValue("check")
	if !slices.Contains(checks(name, kind), check) {
		http.NotFound(w, r)
		return
	}
	if !failures(kind, st.booted(now))(check) {
		text("ok")(w, r)
		return
	}
	if kind == EtcdLost && !sleep(r, etcdTimeout) {
		return
	}
	http.Error(w, fmt.Sprintf("internal server error: %s failed", check), http.StatusInternalServerError)
}

// serveClient answers what clients outside ask for: with the node's name, once
// the server has started.
func (s *Server) serveClient(w http.ResponseWriter, r *http.Request) {
	switch s.state.Load().mode.Kind {
	case Missing:
		http.NotFound(w, r)
	case Booting:
		http.Error(w, "not started", http.StatusInternalServerError)
	default:
		text(s.opts.Name+"\n")(w, r)
	}
}

// serveWatch tells the node's name and then nothing, until the client goes: an
// idle kubectl get -w.
func (s *Server) serveWatch(w http.ResponseWriter, r *http.Request) {
	s.serveClient(w, r)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	<-r.Context().Done()
}

// refuse answers with a Status object, as kube-apiserver prints it.
func refuse(w http.ResponseWriter, r *http.Request, code int, user pkix.Name) {
	if code == http.StatusServiceUnavailable {
		http.Error(w, "starting", code)
		return
	}
	reason, message := http.StatusText(code), http.StatusText(code)
	if code == http.StatusForbidden {
		message = fmt.Sprintf(`forbidden: User \"%s\" cannot get path \"%s\"`, user.CommonName, r.URL.Path)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{
  "kind": "Status",
  "apiVersion": "v1",
  "metadata": {
    
  },
  "status": "Failure",
  "message": "%s",
  "reason": "%s",
  "code": %d
}
`, message, reason, code)
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = fmt.Fprint(w, body)
	}
}

// sleep waits, and reports whether somebody still waits for the answer.
func sleep(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}
