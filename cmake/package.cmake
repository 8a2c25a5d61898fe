# Debian packages by CPack (`cpack` in the build folder): hardmoe has the commands, libhardmoe-dev what
# find_package(hardmoe) needs. tools/check_package.sh makes, inspects and tries them.
if(NOT DEFINED HARDMOE_MAINTAINER)
  set(maintainer "hardmoe maintainers <maintainers@hardmoe.invalid>")  # no address is promised
  if(DEFINED ENV{DEBFULLNAME} AND DEFINED ENV{DEBEMAIL})
    set(maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
  endif()
endif()
set(HARDMOE_MAINTAINER "${maintainer}" CACHE STRING "Who answers for the Debian packages: NAME <ADDRESS>")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME hardmoe)
set(CPACK_PACKAGE_VENDOR hardmoe)
set(CPACK_PACKAGE_CONTACT "${HARDMOE_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL programs development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME hardmoe)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SUGGESTS "python3, openclipart-png, openclipart-svg, wordnet-base")
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION "hard mixtures of experts on tagged images, on CPUs
Commands that train a convolutional network to predict the tags of images,
divide the images among experts by its embedding, train the experts
independently of one another and a decoder over all of them, and that tag
images by the result. Evaluating an image costs the base and one expert,
however many there are.

These programs compute on processors. The engine for NVIDIA GPUs is not in
this package.")

# What hardmoeConfig.cmake looks for.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libhardmoe-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libssl-dev, libfmt-dev, libyaml-cpp-dev, libutf8proc-dev, \
libjpeg-dev, libpng-dev, libwebp-dev, zlib1g-dev, libbz2-dev, libzstd-dev, libexpat1-dev, libdnnl-dev, \
ocl-icd-opencl-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "hardmoe, cmake")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "tag images by hard mixtures of experts (development files)
A static library, its header and its CMake package, for programs that tag
images by what the commands of the package hardmoe have trained.")

set(CPACK_HARDMOE_HAS_CUDA ${HARDMOE_HAS_CUDA})
set(CPACK_HARDMOE_SANITIZE "${HARDMOE_SANITIZE}")
set(CPACK_HARDMOE_COPYRIGHT ${PROJECT_SOURCE_DIR}/third_party/copyright)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/package/refuse.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package/debian_files.cmake)
include(CPack)
