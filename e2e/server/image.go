package server

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// madeLabel marks images that were made here, and says from what, so that they are neither made
// twice nor taken for someone's own.
const madeLabel = "longshore.e2e"

// Image makes an image of files only: paths in the image, each from a path on this machine. Changes
// are lines of a Dockerfile: ENTRYPOINT, CMD, ENV, USER, EXPOSE, WORKDIR, VOLUME, HEALTHCHECK,
// LABEL. There is a /tmp. An image of that tag that was not made by tests is used as it is. The
// image goes when the test ends.
func (d *DockerServer) Image(tag string, files map[string]string, changes ...string) {
	d.t.Helper()
	var root rootfs
	root.folder("/tmp", 0, 0o1777)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		root.file(name, files[name])
	}
	d.image(tag, root, changes, false)
}

// AppImage makes an image of one static binary, which is its entry point.
func (d *DockerServer) AppImage(tag, binary string) {
	d.t.Helper()
	name := "/" + filepath.Base(binary)
	d.Image(tag, map[string]string{name: binary}, fmt.Sprintf("ENTRYPOINT [%q]", name))
}

// LokiImage makes an image like Grafana's own, such as grafana/loki:3.7.8: no shell, port 3100, its
// binary at /usr/bin/loki, which has a health check as -health, and its configuration at
// /etc/loki/local-config.yaml. Where no Loki can be had, and none is required, the program is the
// imitation.
func (d *DockerServer) LokiImage(tag string) {
	d.t.Helper()
	binary, err := findLoki()
	if err != nil && !required("loki") {
		binary, err = buildImitation(d.t.TempDir())
	}
	if err != nil {
		d.t.Fatal(err)
	}
	const loki = 10001
	var root rootfs
	root.folder("/tmp", 0, 0o1777)
	root.folder("/etc/loki", loki, 0o755)
	root.folder("/loki", loki, 0o755)
	root.folder("/loki/rules", loki, 0o755)
	root.folder("/loki/rules-temp", loki, 0o755)
	// A Loki that someone built here may need this machine's libraries.
	if err := root.libraries(binary, ""); err != nil {
		d.t.Fatal(err)
	}
	root.file("/usr/bin/loki", binary)
	root.text("/etc/loki/local-config.yaml", lokiImageConfig, 0o644)
	root.text("/etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\n"+
		"loki:x:10001:10001::/home/loki:/sbin/nologin\n", 0o644)
	root.text("/etc/group", "root:x:0:\nloki:x:10001:\n", 0o644)
	d.image(tag, root, []string{
		"USER 10001",
		"WORKDIR /",
		"EXPOSE 3100",
		`ENTRYPOINT ["/usr/bin/loki"]`,
		`CMD ["-config.file=/etc/loki/local-config.yaml"]`,
	}, d.Own)
}

// lokiImageConfig is what a container without a config of its own runs with.
const lokiImageConfig = `
auth_enabled: false
server: {http_listen_port: 3100}
common:
  instance_addr: 127.0.0.1
  path_prefix: /loki
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: /loki/chunks, rules_directory: /loki/rules}}
schema_config:
  configs: [{from: 2024-04-01, store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]
frontend: {scheduler_address: 127.0.0.1:9095}
frontend_worker: {scheduler_address: 127.0.0.1:9095}
ingester: {lifecycler: {min_ready_duration: 0s}}
analytics: {reporting_enabled: false}
`

// ElasticsearchImage makes an image that is used like Elastic's own, such as
// docker.elastic.co/elasticsearch/elasticsearch:7.17.29: port 9200, data in
// /usr/share/elasticsearch/data, settings with a dot in their names and ES_JAVA_OPTS from the
// environment, and sh, curl, grep, cat and sleep for health checks. Settings of x-pack are ignored.
func (d *DockerServer) ElasticsearchImage(tag string) {
	d.t.Helper()
	root, err := elasticsearchRoot()
	if err != nil {
		unavailable(d.t, err)
	}
	d.image(tag, root, []string{
		"USER 1000",
		"WORKDIR /usr/share/elasticsearch",
		"EXPOSE 9200 9300",
		"ENV PATH=/usr/share/elasticsearch/bin:/opt/java/bin:/usr/bin:/bin",
		`ENTRYPOINT ["/bin/sh", "/usr/local/bin/docker-entrypoint.sh"]`,
		`CMD ["eswrapper"]`,
	}, d.Own)
}

func elasticsearchRoot() (rootfs, error) {
	jdk, jars, err := elasticsearch.ensure()
	if err != nil {
		return rootfs{}, err
	}
	const user = 1000
	var root rootfs
	root.folder("/tmp", 0, 0o1777)
	root.folder("/usr/share/elasticsearch", user, 0o775)
	root.folder("/usr/share/elasticsearch/config", user, 0o775)
	root.folder("/usr/share/elasticsearch/data", user, 0o775)
	root.folder("/usr/share/elasticsearch/logs", user, 0o775)
	root.text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"+
		"elasticsearch:x:1000:0::/usr/share/elasticsearch:/bin/sh\n", 0o644)
	root.text("/etc/group", "root:x:0:\n", 0o644)
	root.text("/etc/nsswitch.conf", "hosts: files dns\n", 0o644)
	root.text("/usr/local/bin/docker-entrypoint.sh", elasticsearchEntry, 0o755)
	if err := root.tree("/usr/share/elasticsearch/lib", jars, nil); err != nil {
		return rootfs{}, err
	}
	if err := root.java("/opt/java", jdk); err != nil {
		return rootfs{}, err
	}
	return root, root.programs("sh", "curl", "grep", "cat", "sleep")
}

const elasticsearchEntry = `#!/bin/sh
exec java -Xms512m -Xmx512m $ES_JAVA_OPTS -cp '/usr/share/elasticsearch/lib/*' Main \
	path.home=/usr/share/elasticsearch cluster.name=docker-cluster network.host=0.0.0.0 http.port=9200
`

// image makes the image unless it is there. With keep it stays for the next test.
func (d *DockerServer) image(tag string, root rootfs, changes []string, keep bool) {
	d.t.Helper()
	ctx := d.t.Context()
	sum, err := root.hash(changes)
	if err != nil {
		d.t.Fatalf("hashing the files of the image %s: %v", tag, err)
	}
	made, there, err := d.engine.imageLabel(ctx, tag)
	if err != nil {
		d.t.Fatal(err)
	}
	if there && made == "" { // someone's own
		return
	}
	if !keep {
		d.t.Cleanup(func() { d.removeImage(tag) })
	}
	if made == sum {
		return
	}
	end := progress("making the image " + tag)
	err = d.engine.importImage(ctx, tag, root, append(changes, "LABEL "+madeLabel+"="+sum))
	end(err)
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *DockerServer) removeImage(tag string) {
	_, err := d.engine.call(context.Background(), http.MethodDelete, "/images/"+tag+"?force=1", nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		d.t.Errorf("removing the image %s: %v", tag, err)
	}
}

// imageLabel tells whether there is an image of that tag, and what madeLabel says of it.
func (e *engine) imageLabel(ctx context.Context, tag string) (made string, there bool, err error) {
	text, err := e.call(ctx, http.MethodGet, "/images/"+tag+"/json", nil)
	if isStatus(err, http.StatusNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	var image struct {
		Config struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(text, &image); err != nil {
		return "", false, fmt.Errorf("reading about the image %s: %w", tag, err)
	}
	return image.Config.Labels[madeLabel], true, nil
}

func (e *engine) importImage(ctx context.Context, tag string, root rootfs, changes []string) error {
	repo, version, found := cutTag(tag)
	if !found {
		return fmt.Errorf("the image name %q has no tag", tag)
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(root.write(writer)) }()
	defer reader.Close() // ends the writer, should the engine not read to the end
	params := url.Values{"fromSrc": {"-"}, "repo": {repo}, "tag": {version}, "changes": changes}
	answer, err := e.call(ctx, http.MethodPost, "/images/create?"+params.Encode(), reader)
	if err != nil {
		return fmt.Errorf("making the image %s: %w", tag, err)
	}
	if bytes.Contains(answer, []byte(`"errorDetail"`)) { // after the 200 has gone out
		return fmt.Errorf("making the image %s: %s", tag, answer)
	}
	return nil
}

// cutTag knows a registry's port from a tag.
func cutTag(image string) (repo, tag string, found bool) {
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") {
		return image, "", false
	}
	return image[:i], image[i+1:], true
}

// A rootfs is the list of files of an image.
type rootfs struct{ nodes []node }

type node struct {
	path   string // in the image
	source string // the file on this machine that it is a copy of, or "" for one of text
	text   string
	mode   int64
	owner  int
	folder bool
}

func (r *rootfs) folder(path string, owner int, mode int64) {
	r.nodes = append(r.nodes, node{path: path, owner: owner, mode: mode, folder: true})
}

func (r *rootfs) file(path, source string) {
	r.nodes = append(r.nodes, node{path: path, source: source})
}

func (r *rootfs) text(path, text string, mode int64) {
	r.nodes = append(r.nodes, node{path: path, text: text, mode: mode})
}

// tree copies a folder, following symbolic links, without what skip knows by its path in the
// folder.
func (r *rootfs) tree(path, source string, skip func(string) bool) error {
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		from, to := filepath.Join(source, entry.Name()), path+"/"+entry.Name()
		if skip != nil && skip(from) {
			continue
		}
		info, err := os.Stat(from)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a link to nowhere
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			r.file(to, from)
			continue
		}
		if err := r.tree(to, from, skip); err != nil {
			return err
		}
	}
	return nil
}

// hash covers all that write would write.
func (r *rootfs) hash(changes []string) (string, error) {
	h := sha256.New()
	for _, change := range changes {
		fmt.Fprintln(h, change)
	}
	if err := r.write(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// write writes the files as a tar archive, the same for the same files.
func (r *rootfs) write(w io.Writer) error {
	archive := tar.NewWriter(w)
	written := map[string]bool{"/": true}
	for _, n := range r.nodes {
		if written[n.path] {
			continue
		}
		if err := n.write(archive, written); err != nil {
			return fmt.Errorf("writing %s of an image: %w", n.path, err)
		}
	}
	return archive.Close()
}

func (n node) write(w *tar.Writer, written map[string]bool) error {
	if err := writeParents(w, path.Dir(n.path), written); err != nil {
		return err
	}
	written[n.path] = true
	header := &tar.Header{Name: strings.TrimPrefix(n.path, "/"), Mode: n.mode, Uid: n.owner, Typeflag: tar.TypeReg}
	if n.folder {
		header.Name += "/"
		header.Typeflag = tar.TypeDir
		return w.WriteHeader(header)
	}
	if n.source == "" {
		header.Size = int64(len(n.text))
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err := io.WriteString(w, n.text)
		return err
	}
	f, err := os.Open(n.source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// All may read all: the image's user is not the one here.
	header.Size, header.Mode = info.Size(), int64(info.Mode().Perm()|0o444)
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

func writeParents(w *tar.Writer, dir string, written map[string]bool) error {
	if written[dir] {
		return nil
	}
	if err := writeParents(w, path.Dir(dir), written); err != nil {
		return err
	}
	written[dir] = true
	return w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755, Typeflag: tar.TypeDir})
}
