package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	modulePath  = "github.com/vipd/vipd"
	maintainer  = "vipd maintainers <vipd@users.noreply.github.com>"
	recipe      = "packaging/nfpm.yaml"
	nfpmVersion = "v2.45.2"
	rpmRelease  = "1"
)

// packager makes all that belongs to one architecture.
type packager struct {
	release release
	arch    arch
	nfpm    string
	stage   string // what the recipe takes from here is made, the rest is in the tree
	out     string
}

// build returns the names of the files it made.
func (p packager) build(formats []string) ([]string, error) {
	if err := os.MkdirAll(filepath.Join(p.stage, "man"), 0o755); err != nil {
		return nil, fmt.Errorf("make a directory to build in: %w", err)
	}
	binary := filepath.Join(p.stage, "vipd")
	info, err := buildBinary(binary, p.release.version, p.arch)
	if err != nil {
		return nil, err
	}
	modules, err := readModules(info)
	if err != nil {
		return nil, err
	}
	if err := p.fill(modules); err != nil {
		return nil, err
	}
	bom, err := makeSBOM(binary, p.release.version, p.arch, modules)
	if err != nil {
		return nil, err
	}
	made := []string{fmt.Sprintf("vipd_%s_%s.cdx.json", p.release.version, p.arch.name)}
	if err := os.WriteFile(filepath.Join(p.out, made[0]), bom, 0o644); err != nil {
		return nil, fmt.Errorf("write the SBOM: %w", err)
	}
	for _, format := range formats {
		name, err := p.pack(format, modules)
		if err != nil {
			return nil, err
		}
		made = append(made, name)
	}
	return made, nil
}

// fill makes the files that are not in the tree as the packages want them.
func (p packager) fill(modules []module) error {
	changes, err := readChangelog("CHANGELOG.md", p.release)
	if err != nil {
		return err
	}
	rpm, err := rpmChangelog(changes, maintainer)
	if err != nil {
		return fmt.Errorf("write the changelog: %w", err)
	}
	files := map[string][]byte{
		"changelog.gz":   compressed(debChangelog(changes, maintainer)),
		"changelog.yaml": rpm,
		"copyright":      copyright(modules),
	}
	for _, shell := range []string{"bash", "fish", "zsh"} {
		script, err := outputWith(neutral(), "go", buildArgs("run", p.release.version, "./cmd/vipd", "completion", shell)...)
		if err != nil {
			return fmt.Errorf("completion of %s: %w", shell, err)
		}
		files["completion."+shell] = []byte(script + "\n")
	}
	pages, err := filepath.Glob("packaging/man/*.[1-8]")
	if err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return fmt.Errorf("manual pages: %w", err)
		}
		files["man/"+filepath.Base(page)+".gz"] = compressed(text)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.stage, name), content, 0o644); err != nil {
			return fmt.Errorf("fill the package: %w", err)
		}
	}
	return nil
}

// compressed is what gzip -9n writes: no name and no time.
func compressed(text []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // fails for no level that has a name
	z.Write(text)                                         // a Buffer takes everything
	z.Close()
	return b.Bytes()
}

// pack has nfpm make a package, and returns its name.
func (p packager) pack(format string, modules []module) (string, error) {
	text, err := os.ReadFile(recipe)
	if err != nil {
		return "", fmt.Errorf("read the recipe: %w", err)
	}
	expanded, err := expand(string(text), p.variables(format, modules))
	if err != nil {
		return "", fmt.Errorf("%s: %w", recipe, err)
	}
	config := filepath.Join(p.stage, "nfpm-"+format+".yaml")
	if err := os.WriteFile(config, []byte(expanded), 0o644); err != nil {
		return "", fmt.Errorf("write the recipe: %w", err)
	}
	name := fmt.Sprintf("vipd_%s_%s.deb", p.release.version, p.arch.name)
	if format == "rpm" {
		name = fmt.Sprintf("vipd-%s-%s.%s.rpm", p.release.version, rpmRelease, p.arch.rpm)
	}
	epoch := "SOURCE_DATE_EPOCH=" + strconv.FormatInt(p.release.time.Unix(), 10)
	_, err = outputWith([]string{epoch}, p.nfpm, "package", "--config", config, "--packager", format, "--target", filepath.Join(p.out, name))
	return name, err
}

// variables are what the recipe leaves open.
func (p packager) variables(format string, modules []module) map[string]string {
	v := map[string]string{
		"ARCH": p.arch.nfpm, "VERSION": p.release.version, "MAINTAINER": maintainer, "LICENSE": expression(modules), "STAGE": p.stage,
		// The deb has no revision, and its documentation and changelog are files like others.
		"RELEASE": "", "CHANGELOG": "", "DOC": "",
	}
	if format == "rpm" {
		v["DOC"] = "doc"
		v["RELEASE"] = rpmRelease
		v["CHANGELOG"] = filepath.Join(p.stage, "changelog.yaml")
	}
	return v
}

// expand puts the values of all variables in.
func expand(text string, values map[string]string) (string, error) {
	var unknown []string
	expanded := os.Expand(text, func(name string) string {
		value, ok := values[name]
		if !ok {
			unknown = append(unknown, name)
		}
		return value
	})
	if len(unknown) > 0 {
		return "", fmt.Errorf("unknown variables: %s", strings.Join(unknown, ", "))
	}
	return expanded, nil
}

// nfpmBinary builds nfpm once, and returns where it is.
func nfpmBinary() (string, error) {
	dir, err := filepath.Abs(filepath.Join("bin", "nfpm-"+nfpmVersion))
	if err != nil {
		return "", fmt.Errorf("where to put nfpm: %w", err)
	}
	path := filepath.Join(dir, "nfpm")
	if _, err := exec.LookPath(path); err == nil {
		return path, nil
	}
	env := append(neutral(), "GOBIN="+dir)
	if _, err := outputWith(env, "go", "install", "-trimpath", "github.com/goreleaser/nfpm/v2/cmd/nfpm@"+nfpmVersion); err != nil {
		return "", fmt.Errorf("build nfpm: %w", err)
	}
	return path, nil
}

// writeSums writes what sha256sum -c reads.
func writeSums(dir string, names []string) error {
	var sums strings.Builder
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("checksums: %w", err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), name)
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644); err != nil {
		return fmt.Errorf("checksums: %w", err)
	}
	return nil
}
