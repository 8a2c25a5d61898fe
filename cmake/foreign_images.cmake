# The codecs of TIFF, BMP, JPEG 2000, GIF and AVIF (lib/image/foreign/codecs): a module that moe-ingest,
# moe-predict and moe-search load when they meet the first such image. No program links them: OpenCV brings
# 140 libraries and 180 MB along, and 80 ms at every start.
if(HARDMOE_FOREIGN_IMAGES)
  set(foreign_missing "")
  # Debian's parts of OpenCV come without its CMake files.
  foreach(part "OPENCV_CORE;opencv_core;opencv2/core.hpp;libopencv-imgcodecs-dev"
               "OPENCV_IMGCODECS;opencv_imgcodecs;opencv2/imgcodecs.hpp;libopencv-imgcodecs-dev"
               "TIFF;tiff;tiffio.h;libtiff-dev" "GIF;gif;gif_lib.h;libgif-dev" "AVIF;avif;avif/avif.h;libavif-dev")
    list(GET part 0 name)
    list(GET part 1 library)
    list(GET part 2 header)
    list(GET part 3 package)
    find_library(HARDMOE_${name} ${library})
    find_path(HARDMOE_${name}_INCLUDE ${header} PATH_SUFFIXES opencv4)
    if(NOT HARDMOE_${name} OR NOT HARDMOE_${name}_INCLUDE)
      list(APPEND foreign_missing ${package})
    endif()
  endforeach()
  if(foreign_missing)
    list(REMOVE_DUPLICATES foreign_missing)
    list(JOIN foreign_missing " " foreign_missing)
    message(FATAL_ERROR "For reading TIFF, BMP, JPEG 2000, GIF and AVIF these Debian packages are missing: "
      "${foreign_missing}. Install them (tools/setup.sh does), or build without: "
      "-DHARDMOE_FOREIGN_IMAGES=OFF. Then moe-ingest lists such images as of other formats.")
  endif()
endif()

function(hardmoe_foreign_images)
  if(NOT HARDMOE_FOREIGN_IMAGES)
    return()
  endif()
  file(GLOB codecs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/image/foreign/codecs/*.cpp)
  add_library(hardmoe_foreign_images MODULE ${codecs})
  set_target_properties(hardmoe_foreign_images PROPERTIES PREFIX "" OUTPUT_NAME foreign_images
                        CXX_VISIBILITY_PRESET hidden
                        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib/hardmoe/modules)
  target_include_directories(hardmoe_foreign_images SYSTEM PRIVATE
    ${HARDMOE_OPENCV_CORE_INCLUDE} ${HARDMOE_TIFF_INCLUDE} ${HARDMOE_GIF_INCLUDE} ${HARDMOE_AVIF_INCLUDE})
  target_link_libraries(hardmoe_foreign_images PRIVATE hardmoe_options ${HARDMOE_OPENCV_IMGCODECS}
    ${HARDMOE_OPENCV_CORE} ${HARDMOE_TIFF} ${HARDMOE_GIF} ${HARDMOE_AVIF})
  install(TARGETS hardmoe_foreign_images LIBRARY DESTINATION lib/hardmoe/modules COMPONENT programs)
endfunction()
