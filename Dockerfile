# The gateway and the emulator in one image. Needs nothing but the network at build time and nothing at all at run time.
#
#   docker build -t m2m-gateway --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#   docker run --rm --read-only --cap-drop ALL m2m-gateway --help
#
# What is installed is JavaScript alone, so that one build serves every platform. `npm run image:prove` runs these steps
# without a container engine.

ARG BUILD_IMAGE=node:24-bookworm-slim
# Has Node.js, the libraries it needs, certificates and no shell. node:24-bookworm-slim works in its place.
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build
RUN npm prune --omit=dev --ignore-scripts

FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="m2m-gateway" \
      org.opencontainers.image.description="A gRPC and Connect gateway for Clerk machine-to-machine tokens" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /app
# Root owns what runs; the user it runs as can read it and change nothing.
COPY package.json LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# Distroless keeps node in a folder of its own.
ENV NODE_ENV=production \
    PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 50051 50052
STOPSIGNAL SIGTERM
# Asks the gateway at 127.0.0.1:50051. Where it listens elsewhere, say so in GATEWAY_URL.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["node", "dist/main.js", "health", "--timeout", "3s"]
# node is process 1 and handles SIGTERM itself: no shell and no init in between.
# --v8-pool-size=1: docs/decisions/0028.
ENTRYPOINT ["node", "--v8-pool-size=1", "dist/main.js"]
CMD ["serve"]
